"""Passes that somebody waits for: asked on any thread, carried out on the loop's, one after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

from reconciler.cycle import Ask, Report
from reconciler.errors import TransientError


class DaemonStoppingError(TransientError):
    """The daemon ends and begins no pass any more."""

    default_code = "daemon-stopping"


class AskTimeoutError(TransientError):
    """A pass that was asked for did not end within the asker's patience."""

    default_code = "daemon-timeout"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A pass that somebody waits for.

    Attributes:
        ask: What it has to do.
        wanted: Whether anybody still waits for it.
        answer: Where the report goes.
    """

    ask: Ask
    wanted: Callable[[], bool]
    answer: Future[Report] = field(default_factory=Future)

    def taken(self) -> bool:
        """Whether to carry it out; from now on it can't be withdrawn. False if nobody waits for it any more."""
        if not self.wanted():
            self.answer.cancel()
        return self.answer.set_running_or_notify_cancel()


class Asks:
    """The queue. Shares its owner's condition, so that one thread can wait for triggers and for askers."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._waiting: deque[Asked] = deque()
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, ask: Ask, *, timeout: float, wanted: Callable[[], bool]) -> Report:
        """Wait for a pass.

        Raises:
            DaemonStoppingError: It will not be carried out.
            AskTimeoutError: It did not end in time. If it had not begun it never will; else it goes on without its asker.
        """
        asked = Asked(ask=ask, wanted=wanted)
        with self._changed:
            if self._closed:
                raise stopping()
            self._waiting.append(asked)
            self._changed.notify_all()
        try:
            return asked.answer.result(timeout)
        except TimeoutError:
            began = not asked.answer.cancel()
            raise AskTimeoutError(
                f"the pass did not end within {timeout:g} s"
                if began
                else f"the pass did not begin within {timeout:g} s",
                hint="it goes on; see reconcile status" if began else "it was withdrawn; see what holds the daemon up",
            ) from None
        except CancelledError:  # `wanted` said no: whoever asks is gone and reads no answer
            raise AskTimeoutError("nobody waits for the pass any more", hint="ask again") from None

    def take(self) -> Asked | None:
        """The next one; None if there is none. The owner of the condition holds it."""
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        """Refuse those who wait, and everyone who comes from now on. The owner of the condition holds it."""
        self._closed = True
        while self._waiting:
            asked = self._waiting.popleft()
            if asked.answer.set_running_or_notify_cancel():
                asked.answer.set_exception(stopping())


def stopping() -> DaemonStoppingError:
    """The refusal."""
    return DaemonStoppingError("the daemon is stopping", hint="start it again, then ask again")
