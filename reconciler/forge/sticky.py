"""One comment that is kept up to date: which of those that are there is ours, and what is done about them.

The marker is the first line, and the first line only, as all that follows may quote what others wrote. Whose a comment is counts as
well, since whoever can comment can write a marker.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.errors import UsageError
from reconciler.forge.conversation import LONGEST_COMMENT, CommentResult, Written

_KEY = re.compile(r"[A-Za-z0-9_./:]+(?:-[A-Za-z0-9_./:]+)*")
"""A key may stand in an HTML comment: no two hyphens in a row, and none at its ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment of ours, as a forge shows it.

    Attributes:
        number: Its id; later ones have higher ids.
        body: As it was sent, but for the ends of lines.
        url: Where people find it.
    """

    number: int
    body: str
    url: str


class Thread(Protocol):
    """The comments on one pull request."""

    def ours(self, marker: str) -> Sequence[Comment]:
        """All of ours that begin with this line and that people see."""

    def create(self, body: str) -> Comment:
        """Write one."""

    def edit(self, number: int, body: str) -> Comment:
        """Replace one."""

    def remove(self, number: int) -> bool:
        """Remove one; False if it can't be, or is not there any more."""


def stick(thread: Thread, *, key: str, body: str, create: bool) -> CommentResult:
    """Have one comment of ours under the key, with this body; of several the oldest, which others may have linked to.

    Two jobs that begin at the same time may each write one. The next to come removes what is too many.

    Raises:
        UsageError: The key or the body can't be used.
        ...: What the thread raises.
    """
    if not _KEY.fullmatch(key):
        raise UsageError(f"{key!r} can't be the key of a comment", hint="use letters, digits and single hyphens")
    if not body.strip() or len(body) > LONGEST_COMMENT:
        raise UsageError(f"a comment has 1 to {LONGEST_COMMENT} characters, and this one {len(body)}")
    marker = f"<!-- envoy-reconciler:{key} -->"
    text = f"{marker}\n{body}".replace("\x00", "\ufffd")  # a character that GitLab refuses
    found = sorted(thread.ours(marker), key=lambda comment: comment.number)
    if not found:
        if not create:
            return CommentResult(written=Written.ABSENT)
        made = thread.create(text)
        return CommentResult(written=Written.CREATED, number=made.number, url=made.url)
    first, *others = found
    removed = sum(thread.remove(comment.number) for comment in others)
    if plain(first.body) == plain(text):
        return CommentResult(written=Written.UNCHANGED, number=first.number, url=first.url, removed=removed)
    made = thread.edit(first.number, text)
    return CommentResult(written=Written.UPDATED, number=made.number, url=made.url, removed=removed)


def plain(body: str) -> str:
    """A body without what forges change: ends of lines, and space at its end."""
    return body.replace("\r\n", "\n").rstrip()


def marked(body: object, marker: str) -> bool:
    """Whether a body begins with this line."""
    return isinstance(body, str) and plain(body).partition("\n")[0].rstrip() == marker


def one_line(text: str, limit: int) -> str:
    """Text on one line of at most so many code points; what is cut is shown by an ellipsis."""
    words = " ".join(text.split())
    return words if len(words) <= limit else f"{words[: limit - 1].rstrip()}…"
