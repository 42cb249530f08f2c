"""GitHub's pull requests, by its REST API: https://docs.github.com/rest/pulls/pulls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from reconciler.clock import Clock, SystemClock
from reconciler.errors import UsageError
from reconciler.forge.api import PATIENCE, Api
from reconciler.forge.pull import PullRequest, PullState, github_pull
from reconciler.settings import AdminSettings

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


def require_repository(name: str) -> None:
    """Fail unless this can be the name of a repository: `owner/name`.

    Raises:
        UsageError: It can't be.
    """
    if not _REPOSITORY.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a repository on GitHub", hint="write owner/name")


class GitHub:
    """The pull requests of one repository. Close it, or use it as a context. Not for two threads at once.

    A token needs Contents and Pull requests, both to read and write. Nothing needs `merge_commit_sha`, which later versions of the
    API leave out.

    Args:
        repository: `owner/name`.
        token_file: Holds the token; read at each call.
        api: The API's address.
        clock: For pace and patience.
        settings: Time and size limits of a call, and whom `https` trusts.

    Raises:
        UsageError: The repository or the address is none.
    """

    def __init__(
        self,
        repository: str,
        *,
        token_file: Path,
        api: str = "https://api.github.com",
        clock: Clock | None = None,
        settings: AdminSettings = PATIENCE,
    ) -> None:
        require_repository(repository)
        self.repository = repository
        self._api = Api(api, token_file=token_file, clock=clock or SystemClock(), settings=settings)
        self._pulls = f"/repos/{repository}/pulls"

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, head: str) -> tuple[PullRequest, ...]:
        """All pull requests from a branch of the repository itself, open or not, the newest first.

        Raises:
            ForgeUnavailableError, ForgeAuthenticationError, ForgePermissionError, TokenFileError: As they say.
        """
        owner = self.repository.partition("/")[0]
        listed = self._api.get_all(f"{self._pulls}?state=all&head={quote(f'{owner}:{head}', safe='')}&per_page=100")
        found = [self._pull(item) for item in listed]
        # A filter that GitHub does not understand lets everything through.
        return tuple(sorted((pull for pull in found if pull.head == head), key=lambda pull: -pull.number))

    def get(self, number: int) -> PullRequest:
        """One pull request.

        Raises:
            ForgePermissionError: There is none of this number, or the token may not see it.
            ForgeUnavailableError, ForgeAuthenticationError, TokenFileError: As they say.
        """
        return self._pull(self._api.get(f"{self._pulls}/{number}"))

    def create(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request from a branch of the repository itself.

        Raises:
            ExistsError: There is an open one from this branch to that.
            ForgeRefusedError: One of the branches is not there, or there are no commits between them.
            ForgeUnavailableError: No usable answer; it may have been opened.
            ForgeAuthenticationError, ForgePermissionError, TokenFileError: As they say.
        """
        document = {"title": title, "head": head, "base": base, "body": body, "maintainer_can_modify": True}
        return self._pull(self._api.write("POST", self._pulls, document))

    def edit(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullState | None = None
    ) -> PullRequest:
        """Change what is given, all of it in one call.

        Raises:
            ForgeRefusedError: It can't be changed to this: a merged one can't be reopened, for instance.
            ForgeUnavailableError: No usable answer; it may have been changed.
            ForgeAuthenticationError, ForgePermissionError, TokenFileError: As they say.
        """
        wanted = {"title": title, "body": body, "state": None if state is None else str(state)}
        document = {name: value for name, value in wanted.items() if value is not None}
        return self._pull(self._api.write("PATCH", f"{self._pulls}/{number}", document))

    def _pull(self, document: Any) -> PullRequest:
        try:
            return github_pull(document)
        except ValueError as error:
            raise self._api.garbage(error) from error
