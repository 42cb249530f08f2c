"""A forge that is asked beside a pass: one that is slow holds its proposals up, and nobody's traffic.

Stands between whoever proposes and `GitHub`. Decides nothing: what is not answered in time is asked again by the next pass, which
gets the answer if it has come by then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from reconciler.clock import Clock
from reconciler.forge.errors import ForgeUnavailableError
from reconciler.forge.github import GitHub
from reconciler.forge.gitlab import GitLab
from reconciler.forge.pull import PullRequest, PullState

_FRESH = 15.0
"""Seconds for which an answer that came too late is an answer still."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that was made.

    Attributes:
        asked: What for.
        answer: What comes of it.
        at: When it was made, by the clock that only grows.
    """

    asked: tuple[object, ...]
    answer: Future[Any]
    at: float


class Beside:
    """The forge, with one call under way at a time. Close it. Not for two threads at once, except for what it does itself.

    Args:
        forge: Whom to ask; is closed with this.
        clock: For the age of answers.
        patience: Seconds that a call is waited for by whoever makes it; nobody waits for what was asked before.
    """

    def __init__(self, forge: GitHub | GitLab, *, clock: Clock, patience: float) -> None:
        self._forge = forge
        self._clock = clock
        self._patience = patience
        self._call: _Call | None = None

    def close(self) -> None:
        """Close the connections, once the call that may be under way has ended; does not wait for it."""
        if self._call is None:
            self._forge.close()
        else:
            self._call.answer.add_done_callback(lambda _: self._forge.close())

    def find(self, head: str) -> tuple[PullRequest, ...]:
        """As `Forge.find`; raises `ForgeUnavailableError` also while there is no answer."""
        return cast("tuple[PullRequest, ...]", self._made(("find", head), partial(self._forge.find, head)))

    def get(self, number: int) -> PullRequest:
        """As `Forge.get`; raises `ForgeUnavailableError` also while there is no answer."""
        return cast("PullRequest", self._made(("get", number), partial(self._forge.get, number)))

    def create(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """As `Forge.create`; raises `ForgeUnavailableError` also while there is no answer."""
        made = partial(self._forge.create, head=head, base=base, title=title, body=body)
        return cast("PullRequest", self._made(("create", head, base, title, body), made))

    def edit(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullState | None = None
    ) -> PullRequest:
        """As `Forge.edit`; raises `ForgeUnavailableError` also while there is no answer."""
        made = partial(self._forge.edit, number, title=title, body=body, state=state)
        return cast("PullRequest", self._made(("edit", number, title, body, state), made))

    def _made(self, asked: tuple[object, ...], make: Callable[[], object]) -> object:
        before, now = self._call, self._clock.monotonic()
        if before is not None and not before.answer.done():
            raise ForgeUnavailableError("the forge has not answered yet")
        late = before is not None and before.asked == asked and now - before.at < _FRESH
        call = before if before is not None and late else _Call(asked, _started(make), now)
        self._call = call
        try:
            return call.answer.result(timeout=self._patience)
        except TimeoutError:
            raise ForgeUnavailableError("the forge has not answered yet") from None
        finally:
            if call.answer.done():
                self._call = None


def _started(make: Callable[[], object]) -> Future[Any]:
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(make())
        except BaseException as error:  # noqa: BLE001 -- raised by whoever takes the answer
            answer.set_exception(error)

    # A daemon: nobody who wants to end waits for a forge.
    threading.Thread(target=run, name="forge", daemon=True).start()
    return answer
