"""Merge requests of GitLab, read from its JSON as the pull requests that they are. Pure.

https://docs.gitlab.com/api/merge_requests/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.forge.pull import PullRequest, PullState, typed

_STATES = {
    "opened": PullState.OPEN,
    "locked": PullState.OPEN,  # while it is being merged
    "closed": PullState.CLOSED,
    "merged": PullState.CLOSED,
}


def gitlab_pull(document: Any) -> PullRequest:
    """Read a merge request as GitLab's REST API has it, in lists and by itself.

    Raises:
        ValueError: It is not one; names what is missing.
    """
    if not isinstance(document, Mapping):
        raise ValueError("no merge request: not an object")  # noqa: TRY004 -- garbage from outside, one error for all of it
    said = typed(document, "state", str)
    if said not in _STATES:
        raise ValueError(f"no merge request: the state {said!r}")
    author = document.get("author")
    home = document.get("source_project_id") == document.get("target_project_id")
    return PullRequest(
        number=typed(document, "iid", int),
        state=_STATES[said],
        merged=said == "merged",
        head=typed(document, "source_branch", str) if home else "",
        head_sha=str(document.get("sha") or ""),  # null until a new one has been looked at
        base=typed(document, "target_branch", str),
        title=typed(document, "title", str),
        body=(document.get("description") or "").replace("\r\n", "\n"),
        url=typed(document, "web_url", str),
        author=str(author["username"]) if isinstance(author, Mapping) and "username" in author else "",
    )


def landed(document: Any) -> str:
    """The commit that a merged one became: squashed, merged, or as it was where the branch was moved forward."""
    merged = isinstance(document, Mapping) and document.get("state") == "merged"
    names = ("squash_commit_sha", "merge_commit_sha", "sha") if merged else ()
    return next((str(document[name]) for name in names if document.get(name)), "")
