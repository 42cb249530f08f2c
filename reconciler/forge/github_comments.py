"""Comments of ours on a pull request on GitHub: https://docs.github.com/rest/issues/comments.

Who we are and which comments somebody hid is asked in one query in GraphQL, which tokens of workflows and Apps may ask; REST's
`/user` they may not. A server that answers neither leaves the author's type: then every bot's comment with our marker is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.errors import PermanentError
from reconciler.forge.api import Api
from reconciler.forge.errors import ForgeAuthenticationError, ForgePermissionError, TokenFileError
from reconciler.forge.sticky import Comment, marked

_QUERY = "query($ids: [ID!]!) { viewer { login } nodes(ids: $ids) { ... on IssueComment { id isMinimized } } }"


class GitHubThread:
    """The comments on one pull request, whose API they are read and written by.

    Args:
        api: Of the forge.
        repository: `owner/name`.
        number: Of the pull request.
    """

    def __init__(self, api: Api, repository: str, number: int) -> None:
        self._api = api
        self._listed = f"/repos/{repository}/issues/{number}/comments"
        self._each = f"/repos/{repository}/issues/comments"

    def ours(self, marker: str) -> Sequence[Comment]:
        """All of ours that begin with this line, except those that somebody hid."""
        listed = self._api.get_all(f"{self._listed}?per_page=100")
        found = [item for item in listed if isinstance(item, Mapping) and marked(item.get("body"), marker)]
        if not found:
            return ()
        login, hidden = self._asked([str(item["node_id"]) for item in found if "node_id" in item])
        login = login or self._user()
        return [
            self._comment(item) for item in found if _is_by(item, login) and str(item.get("node_id", "")) not in hidden
        ]

    def create(self, body: str) -> Comment:
        """Write one; people are told of it by mail."""
        return self._comment(self._api.write("POST", self._listed, {"body": body}, notifies=True))

    def edit(self, number: int, body: str) -> Comment:
        """Replace one."""
        return self._comment(self._api.write("PATCH", f"{self._each}/{number}", {"body": body}))

    def remove(self, number: int) -> bool:
        """Remove one; False if it can't be, or is not there any more."""
        try:
            self._api.write("DELETE", f"{self._each}/{number}")
        except ForgePermissionError:
            return False
        return True

    def _asked(self, ids: Sequence[str]) -> tuple[str, frozenset[str]]:
        """Who we are, and which of these are hidden; nothing if GraphQL is not to be had."""
        try:
            data = self._api.query(_QUERY, {"ids": list(ids)[:100]})
        except (TokenFileError, ForgeAuthenticationError):
            raise
        except PermanentError:
            return "", frozenset()
        nodes, viewer = data.get("nodes"), data.get("viewer")
        shown = [node for node in nodes if isinstance(node, Mapping)] if isinstance(nodes, list) else []
        hidden = frozenset(str(node.get("id")) for node in shown if node.get("isMinimized") is True)
        return str(viewer.get("login") or "") if isinstance(viewer, Mapping) else "", hidden

    def _user(self) -> str:
        try:
            user = self._api.get("/user")
        except ForgePermissionError:
            return ""
        return str(user.get("login") or "") if isinstance(user, Mapping) else ""

    def _comment(self, item: Any) -> Comment:
        number = item.get("id") if isinstance(item, Mapping) else None
        if not isinstance(number, int):
            raise self._api.garbage(ValueError("no comment"))
        return Comment(number=number, body=str(item.get("body") or ""), url=str(item.get("html_url") or ""))


def _is_by(item: Mapping[str, Any], login: str) -> bool:
    user = item.get("user")
    author = user if isinstance(user, Mapping) else {}  # null where the account is gone
    return author.get("login") == login if login else author.get("type") == "Bot"
