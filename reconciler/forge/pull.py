"""Pull requests as values, read from a forge's JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T", int, str)


class PullState(StrEnum):
    """Whether a pull request waits for somebody. A merged one is CLOSED, too."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """One pull request.

    Attributes:
        number: Its number in the repository.
        state: `open` or `closed`.
        merged: Whether it was closed by being merged.
        head: Name of the branch that it is from; "" if that is in another repository.
        head_sha: What the branch had when the forge last looked; for a closed one, when it was closed.
        base: Name of the branch that it is for.
        title: Its title.
        body: Its description; "" if there is none.
        url: Where people find it.
        author: Who opened it.
    """

    number: int
    state: PullState
    merged: bool
    head: str
    head_sha: str
    base: str
    title: str
    body: str
    url: str
    author: str

    @property
    def open(self) -> bool:
        """Whether it waits for somebody."""
        return self.state is PullState.OPEN


class Forge(Protocol):
    """What proposing needs of a forge. Every call may raise what `errors` names; none is tried again inside."""

    def find(self, head: str) -> tuple[PullRequest, ...]:
        """All pull requests from a branch of the repository itself, open or not, the newest first."""

    def get(self, number: int) -> PullRequest:
        """One pull request."""

    def create(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open one. Raises `ExistsError` if there is an open one from this branch to that."""

    def edit(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullState | None = None
    ) -> PullRequest:
        """Change what is given, all of it in one call."""


def github_pull(document: Any) -> PullRequest:
    """Read a pull request as GitHub's REST API has it, in lists and by itself.

    Lists leave `merged` out, so `merged_at` decides, which both have. `head.repo` is null where a fork has been deleted.

    Raises:
        ValueError: It is not one; names what is missing.
    """
    if not isinstance(document, Mapping):
        raise ValueError("no pull request: not an object")  # noqa: TRY004 -- garbage from outside, one error for all of it
    head, base = _part(document, "head"), _part(document, "base")
    user = document.get("user")
    return PullRequest(
        number=typed(document, "number", int),
        state=PullState(typed(document, "state", str)),
        merged=document.get("merged_at") is not None,
        head=typed(head, "ref", str) if _home(head) == _home(base) else "",
        head_sha=typed(head, "sha", str),
        base=typed(base, "ref", str),
        title=typed(document, "title", str),
        body=(document.get("body") or "").replace("\r\n", "\n"),  # the browser's form sends CRLF
        url=typed(document, "html_url", str),
        author=str(user["login"]) if isinstance(user, Mapping) and "login" in user else "",
    )


def _home(side: Mapping[str, Any]) -> object:
    repository = side.get("repo")
    return repository.get("full_name") if isinstance(repository, Mapping) else None


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name)
    if not isinstance(part, Mapping):
        raise ValueError(f"no pull request: {name} is missing")  # noqa: TRY004 -- as above
    return part


def typed(document: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    """A member of a forge's document.

    Raises:
        ValueError: It is missing, or of another type.
    """
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"no pull request: {name} is missing")  # noqa: TRY004 -- as above
    return value
