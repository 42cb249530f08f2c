"""What is said on GitLab: notes on merge requests, and statuses of commits, by its REST API.

https://docs.gitlab.com/api/notes/, /api/commits/ (statuses), /api/merge_requests/, /api/users/. It has no check runs, and no note can
be hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
from reconciler.forge.errors import ForgePermissionError, ForgeRefusedError
from reconciler.forge.gitlab import GITLAB, project_path
from reconciler.forge.merge import gitlab_pull, landed
from reconciler.forge.pull import PullRequest
from reconciler.forge.sticky import Comment, marked, one_line, stick
from reconciler.settings import AdminSettings

_STATES = {
    StatusState.PENDING: "pending",
    StatusState.SUCCESS: "success",
    StatusState.FAILURE: "failed",
    StatusState.ERROR: "failed",
}
_WAITING = frozenset({"pending", "running"})
_STAYS = "Cannot transition status"
"""What GitLab says, with 400, to a status that has this state already, and to one that can't have it any more."""


class GitLabConversation:
    """A `Conversation` with GitLab.

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
        self, project: str, *, token_file: Path, clock: Clock, api: str = GITLAB, settings: AdminSettings = PATIENCE
    ) -> None:
        self._root = project_path(project)
        self._api = Api(api, token_file=token_file, clock=clock, settings=settings, speaks=dialect.gitlab())

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def comment(self, number: int, *, key: str, body: str, create: bool = True) -> CommentResult:
        """Have one note of ours under a key; as `Conversation.comment`."""
        return stick(_Notes(self._api, f"{self._root}/merge_requests/{number}"), key=key, body=body, create=create)

    def status(self, commit: str, *, context: str) -> StatusState | None:
        """The state of a status of a commit; None if there is none, or one of GitLab's others."""
        state, _, _ = self._status(commit, context)
        return next((ours for ours, theirs in _STATES.items() if theirs == state), None)

    def set_status(self, commit: str, *, context: str, state: StatusState, description: str, url: str = "") -> Written:
        """Have a status on a commit; as `Conversation.set_status`.

        Many versions of GitLab refuse `pending` after `pending` or `running`, so the words of such a status may stay old.
        """
        words = one_line(description, LONGEST_DESCRIPTION)
        there = self._status(commit, context)
        if there == (_STATES[state], words, url):
            return Written.UNCHANGED
        document = {"state": _STATES[state], "name": context, "description": words}
        try:
            self._api.write("POST", f"{self._root}/statuses/{commit}", document | ({"target_url": url} if url else {}))
        except ForgeRefusedError as error:
            if _STAYS not in error.message or state is not StatusState.PENDING or there[0] not in _WAITING:
                raise
            return Written.UNCHANGED
        return Written.CREATED

    def check(
        self,
        commit: str,  # noqa: ARG002 -- there is nothing to show it on
        *,
        name: str,
        conclusion: CheckConclusion,  # noqa: ARG002 -- a Conversation's, as the next four
        title: str,  # noqa: ARG002
        summary: str,  # noqa: ARG002
        annotations: Sequence[Annotation] = (),  # noqa: ARG002
        url: str = "",  # noqa: ARG002
    ) -> CheckResult:
        """Nothing, and it says so: GitLab has no check runs; the job's own status is what shows how it ended."""
        return CheckResult(form=CheckForm.NONE, note=f"GitLab has no check runs, so {name!r} is not shown")

    def open_pulls(self) -> tuple[PullRequest, ...]:
        """All open merge requests, the newest first."""
        return self._pulls(self._api.get_all(f"{self._root}/merge_requests?state=opened&scope=all&per_page=100"))

    def get(self, number: int) -> PullRequest:
        """One merge request, by its number in the project."""
        return self._pulls([self._api.get(f"{self._root}/merge_requests/{number}")])[0]

    def changed_files(self, number: int) -> tuple[str, ...]:
        """Paths that a merge request changes, old names of renamed files too."""
        listed = self._api.get_all(f"{self._root}/merge_requests/{number}/diffs?per_page=100")
        return tuple(
            sorted({str(item[name]) for item in listed for name in ("new_path", "old_path") if item.get(name)})
        )

    def open_at(self, head_sha: str) -> tuple[PullRequest, ...]:
        """Open merge requests whose head is this commit."""
        return tuple(pull for pull in self.open_pulls() if pull.head_sha == head_sha)

    def landed_as(self, commit: str) -> tuple[PullRequest, ...]:
        """Merged merge requests that became this commit."""
        listed = self._api.get_all(f"{self._root}/repository/commits/{commit}/merge_requests?per_page=100")
        return self._pulls(item for item in listed if landed(item) == commit)

    def _status(self, commit: str, context: str) -> tuple[str, str, str]:
        target = f"{self._root}/repository/commits/{commit}/statuses?name={quote(context, safe='')}&per_page=100"
        found = [item for item in self._api.get_all(target) if item.get("name") == context]
        if not found:
            return "", "", ""
        newest = max(found, key=lambda item: item["id"] if isinstance(item.get("id"), int) else 0)
        state, words, url = (str(newest.get(name) or "") for name in ("status", "description", "target_url"))
        return state, words, url

    def _pulls(self, listed: Iterable[Any]) -> tuple[PullRequest, ...]:
        try:
            return tuple(sorted((gitlab_pull(item) for item in listed), key=lambda pull: -pull.number))
        except ValueError as error:
            raise self._api.garbage(error) from error


class _Notes:
    """The notes on one merge request."""

    def __init__(self, api: Api, target: str) -> None:
        self._api = api
        self._target = target

    def ours(self, marker: str) -> Sequence[Comment]:
        listed = self._api.get_all(f"{self._target}/notes?sort=asc&order_by=created_at&per_page=100")
        found = [
            item
            for item in listed
            if isinstance(item, Mapping) and not item.get("system") and marked(item.get("body"), marker)
        ]
        if not found:
            return ()
        user = self._api.get("/user")
        me = user.get("id") if isinstance(user, Mapping) else None
        return [self._note(item) for item in found if me is not None and _author(item) == me]

    def create(self, body: str) -> Comment:
        return self._note(self._api.write("POST", f"{self._target}/notes", {"body": body}, notifies=True))

    def edit(self, number: int, body: str) -> Comment:
        return self._note(self._api.write("PUT", f"{self._target}/notes/{number}", {"body": body}))

    def remove(self, number: int) -> bool:
        try:
            self._api.write("DELETE", f"{self._target}/notes/{number}")
        except ForgePermissionError:
            return False
        return True

    def _note(self, item: Any) -> Comment:
        number = item.get("id") if isinstance(item, Mapping) else None
        if not isinstance(number, int):
            raise self._api.garbage(ValueError("no note"))
        # Notes have no address of their own in the API; the page of the merge request shows each at its number.
        return Comment(number=number, body=str(item.get("body") or ""), url="")


def _author(item: Mapping[str, Any]) -> object:
    author = item.get("author")
    return author.get("id") if isinstance(author, Mapping) else None
