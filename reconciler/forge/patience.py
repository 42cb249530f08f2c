"""A conversation that waits where the forge asks for it, for those who come only once: a job of CI. Knows no forge.

Every call of a conversation may be made again, as each looks first at what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from reconciler.clock import Clock
from reconciler.forge.conversation import (
    Annotation,
    CheckConclusion,
    CheckResult,
    CommentResult,
    Conversation,
    StatusState,
    Written,
)
from reconciler.forge.errors import ForgeUnavailableError
from reconciler.forge.pull import PullRequest

_T = TypeVar("_T")


class Patient:
    """A `Conversation` that tries again.

    Args:
        inner: Who is asked; is closed with this.
        clock: To wait by.
        patience: Seconds that are waited in all, over all calls. A wait that would be longer than what is left is not begun.
    """

    def __init__(self, inner: Conversation, *, clock: Clock, patience: float) -> None:
        self._inner = inner
        self._clock = clock
        self._left = patience

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def comment(self, number: int, *, key: str, body: str, create: bool = True) -> CommentResult:
        """As `Conversation.comment`."""
        return self._made(lambda: self._inner.comment(number, key=key, body=body, create=create))

    def status(self, commit: str, *, context: str) -> StatusState | None:
        """As `Conversation.status`."""
        return self._made(lambda: self._inner.status(commit, context=context))

    def set_status(self, commit: str, *, context: str, state: StatusState, description: str, url: str = "") -> Written:
        """As `Conversation.set_status`."""
        return self._made(
            lambda: self._inner.set_status(commit, context=context, state=state, description=description, url=url)
        )

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
        """As `Conversation.check`. One that was broken off leaves a check run with fewer annotations, which the next replaces."""
        return self._made(
            lambda: self._inner.check(
                commit,
                name=name,
                conclusion=conclusion,
                title=title,
                summary=summary,
                annotations=annotations,
                url=url,
            )
        )

    def open_pulls(self) -> tuple[PullRequest, ...]:
        """As `Conversation.open_pulls`."""
        return self._made(self._inner.open_pulls)

    def get(self, number: int) -> PullRequest:
        """As `Conversation.get`."""
        return self._made(lambda: self._inner.get(number))

    def changed_files(self, number: int) -> tuple[str, ...]:
        """As `Conversation.changed_files`."""
        return self._made(lambda: self._inner.changed_files(number))

    def open_at(self, head_sha: str) -> tuple[PullRequest, ...]:
        """As `Conversation.open_at`."""
        return self._made(lambda: self._inner.open_at(head_sha))

    def landed_as(self, commit: str) -> tuple[PullRequest, ...]:
        """As `Conversation.landed_as`."""
        return self._made(lambda: self._inner.landed_as(commit))

    def _made(self, call: Callable[[], _T]) -> _T:
        while True:
            try:
                return call()
            except ForgeUnavailableError as error:
                wait = max(error.retry_after, 1.0)
                if wait > self._left:
                    raise
                self._left -= wait
                self._clock.sleep(wait)
