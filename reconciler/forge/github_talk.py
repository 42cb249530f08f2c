"""What is said on GitHub: comments, commit statuses and check runs, by its REST API.

https://docs.github.com/rest/commits/statuses, /rest/checks/runs, /rest/pulls/pulls, /rest/commits/commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.clock import Clock
from reconciler.forge import dialect
from reconciler.forge.api import PATIENCE, Api
from reconciler.forge.conversation import (
    LONGEST_DESCRIPTION,
    Annotation,
    CheckConclusion,
    CheckForm,
    CheckResult,
    CommentResult,
    StatusState,
    Written,
)
from reconciler.forge.errors import ForgePermissionError
from reconciler.forge.github import require_repository
from reconciler.forge.github_checks import STATES, outputs
from reconciler.forge.github_comments import GitHubThread
from reconciler.forge.pull import PullRequest, github_pull
from reconciler.forge.sticky import one_line, stick
from reconciler.settings import AdminSettings

GITHUB = "https://api.github.com"
"""Where the public service's API is."""

_NO_CHECKS = "GitHub takes check runs from Apps and from workflows with `checks: write` only"


class GitHubConversation:
    """A `Conversation` with GitHub, or with a server that speaks its REST API.

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
        self, repository: str, *, token_file: Path, clock: Clock, api: str = GITHUB, settings: AdminSettings = PATIENCE
    ) -> None:
        require_repository(repository)
        self._repository = repository
        self._root = f"/repos/{repository}"
        rights = "pull requests, commit statuses and checks"
        self._api = Api(api, token_file=token_file, clock=clock, settings=settings, speaks=dialect.github(rights))

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def comment(self, number: int, *, key: str, body: str, create: bool = True) -> CommentResult:
        """Have one comment of ours under a key; as `Conversation.comment`."""
        return stick(GitHubThread(self._api, self._repository, number), key=key, body=body, create=create)

    def status(self, commit: str, *, context: str) -> StatusState | None:
        """The state of a status of a commit; None if there is none."""
        state, _, _ = self._status(commit, context)
        return StatusState(state) if state in set(StatusState) else None

    def set_status(self, commit: str, *, context: str, state: StatusState, description: str, url: str = "") -> Written:
        """Have a status on a commit; as `Conversation.set_status`. What stands there already is read, not posted again."""
        words = one_line(description, LONGEST_DESCRIPTION)
        wanted = (str(state), words, url)
        if self._status(commit, context) == wanted:
            return Written.UNCHANGED
        document = {"state": str(state), "context": context, "description": words}
        self._api.write("POST", f"{self._root}/statuses/{commit}", document | ({"target_url": url} if url else {}))
        return Written.CREATED

    def check(
        self,
        commit: str,
        *,
        name: str,
        conclusion: CheckConclusion,
        title: str,
        summary: str,
        annotations: Sequence[Annotation] = (),
        url: str = "",
    ) -> CheckResult:
        """Show how a check ended; as `Conversation.check`. A status stands in for it where the token may write none."""
        first, *further = outputs(title, summary, annotations)
        run = {"name": name, "head_sha": commit, "status": "completed", "conclusion": str(conclusion), "output": first}
        try:
            made = self._api.write("POST", f"{self._root}/check-runs", run | ({"details_url": url} if url else {}))
        except ForgePermissionError as error:
            self.set_status(commit, context=name, state=STATES[conclusion], description=title, url=url)
            return CheckResult(form=CheckForm.STATUS, note=f"{_NO_CHECKS}, so a status says it: {error.message}")
        if not isinstance(made, Mapping) or "id" not in made:
            raise self._api.garbage(ValueError("no check run"))
        for output in further:
            self._api.write("PATCH", f"{self._root}/check-runs/{made['id']}", {"output": output})
        shown = sum(len(output["annotations"]) for output in (first, *further))
        return CheckResult(form=CheckForm.CHECK_RUN, annotations=shown, url=str(made.get("html_url") or ""))

    def open_pulls(self) -> tuple[PullRequest, ...]:
        """All open pull requests, the newest first."""
        return self._pulls(self._api.get_all(f"{self._root}/pulls?state=open&per_page=100"))

    def get(self, number: int) -> PullRequest:
        """One pull request."""
        return self._pulls([self._api.get(f"{self._root}/pulls/{number}")])[0]

    def changed_files(self, number: int) -> tuple[str, ...]:
        """Paths that a pull request changes, old names of renamed files too; 3,000 at most."""
        listed = self._api.get_all(f"{self._root}/pulls/{number}/files?per_page=100")
        names = {str(item[name]) for item in listed for name in ("filename", "previous_filename") if item.get(name)}
        return tuple(sorted(names))

    def open_at(self, head_sha: str) -> tuple[PullRequest, ...]:
        """Open pull requests whose head is this commit. Of those from forks only the whole list tells."""
        return tuple(pull for pull in self.open_pulls() if pull.head_sha == head_sha)

    def landed_as(self, commit: str) -> tuple[PullRequest, ...]:
        """Merged pull requests that brought this commit to its branch."""
        pulls = self._pulls(self._api.get_all(f"{self._root}/commits/{commit}/pulls?per_page=100"))
        return tuple(pull for pull in pulls if pull.merged)

    def _status(self, commit: str, context: str) -> tuple[str, str, str]:
        """The newest status of a context, of which GitHub does not mind the case; empty words if there is none."""
        for page in self._api.pages(f"{self._root}/commits/{commit}/statuses?per_page=100"):
            for item in page:
                if str(item.get("context", "")).lower() == context.lower():
                    said = (item.get(name) for name in ("state", "description", "target_url"))
                    state, words, url = (str(value or "") for value in said)
                    return state, words, url
        return "", "", ""

    def _pulls(self, listed: Iterable[Any]) -> tuple[PullRequest, ...]:
        try:
            return tuple(sorted((github_pull(item) for item in listed), key=lambda pull: -pull.number))
        except ValueError as error:
            raise self._api.garbage(error) from error
