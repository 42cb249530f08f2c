"""GitLab's merge requests, by its REST API: https://docs.gitlab.com/api/merge_requests/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from reconciler.clock import Clock, SystemClock
from reconciler.errors import UsageError
from reconciler.forge import dialect
from reconciler.forge.api import PATIENCE, Api
from reconciler.forge.errors import ForgeRefusedError
from reconciler.forge.merge import gitlab_pull
from reconciler.forge.pull import PullRequest, PullState
from reconciler.settings import AdminSettings

GITLAB = "https://gitlab.com/api/v4"
"""Where the public service's API is."""

_PROJECT = re.compile(r"[0-9]+|[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+")
_EVENTS = {PullState.OPEN: "reopen", PullState.CLOSED: "close"}


def project_path(name: str) -> str:
    """Where a project's API is, below the API's address.

    Args:
        name: The project's number, or its path with all its groups.

    Raises:
        UsageError: It can't be either.
    """
    if not _PROJECT.fullmatch(name):
        raise UsageError(f"{name!r} is not a project on GitLab", hint="write group/project, or the project's number")
    return f"/projects/{quote(name, safe='')}"


class GitLab:
    """The merge requests of one project: a `Forge`. Close it, or use it as a context. Not for two threads at once.

    A token needs the scope `api`, as a Developer of the project.

    Args:
        project: `group/project`, or the project's number.
        token_file: Holds the token; read at each call.
        api: The API's address, up to `/api/v4`.
        clock: For pace and patience.
        settings: Time and size limits of a call, and whom `https` trusts.

    Raises:
        UsageError: The project or the address is none.
    """

    def __init__(
        self,
        project: str,
        *,
        token_file: Path,
        api: str = GITLAB,
        clock: Clock | None = None,
        settings: AdminSettings = PATIENCE,
    ) -> None:
        self._requests = f"{project_path(project)}/merge_requests"
        self._api = Api(
            api, token_file=token_file, clock=clock or SystemClock(), settings=settings, speaks=dialect.gitlab()
        )

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, head: str) -> tuple[PullRequest, ...]:
        """All merge requests from a branch of the project itself, open or not, the newest first.

        Raises:
            ForgeUnavailableError, ForgeAuthenticationError, ForgePermissionError, TokenFileError: As they say.
        """
        query = f"source_branch={quote(head, safe='')}&state=all&scope=all&per_page=100"
        found = [self._pull(item) for item in self._api.get_all(f"{self._requests}?{query}")]
        return tuple(sorted((pull for pull in found if pull.head == head), key=lambda pull: -pull.number))

    def get(self, number: int) -> PullRequest:
        """One merge request, by its number in the project.

        Raises:
            ForgePermissionError: There is none of this number, or the token may not see it.
            ForgeUnavailableError, ForgeAuthenticationError, TokenFileError: As they say.
        """
        return self._pull(self._api.get(f"{self._requests}/{number}"))

    def create(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a merge request from a branch of the project itself. GitLab opens one without any commits, too.

        Raises:
            ExistsError: There is an open one from this branch to that.
            ForgeRefusedError: One of the branches is not there.
            ForgeUnavailableError: No usable answer; it may have been opened.
            ForgeAuthenticationError, ForgePermissionError, TokenFileError: As they say.
        """
        document = {"source_branch": head, "target_branch": base, "title": title, "description": body}
        return self._pull(self._api.write("POST", self._requests, document))

    def edit(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullState | None = None
    ) -> PullRequest:
        """Change what is given, all of it in one call.

        Raises:
            ForgeRefusedError: It can't be changed to this: GitLab leaves a merged one as it is, and says nothing.
            ForgeUnavailableError: No usable answer; it may have been changed.
            ForgeAuthenticationError, ForgePermissionError, TokenFileError: As they say.
        """
        wanted = {"title": title, "description": body, "state_event": None if state is None else _EVENTS[state]}
        document = {name: value for name, value in wanted.items() if value is not None}
        pull = self._pull(self._api.write("PUT", f"{self._requests}/{number}", document))
        if state is not None and pull.state is not state:
            raise ForgeRefusedError(f"GitLab leaves !{number} {'merged' if pull.merged else pull.state}")
        return pull

    def _pull(self, document: Any) -> PullRequest:
        try:
            return gitlab_pull(document)
        except ValueError as error:
            raise self._api.garbage(error) from error
