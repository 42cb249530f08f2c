"""When a forge may be asked again: what it said about that, or longer with each failure. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.clock import Clock
from reconciler.errors import PermanentError
from reconciler.forge.errors import ForgeUnavailableError, RateLimitedError

_FIRST_UNAVAILABLE, _LONGEST_UNAVAILABLE = 5.0, 300.0
_FIRST_LIMITED = 60.0
"""Seconds to wait at least where a forge that limits us does not say how long; GitHub asks for this."""

_LONGEST = 3600.0
_REFUSED = 60.0
"""Seconds for which the answer to a call that was refused for good is believed. Somebody may have mended it since."""


class Backoff:
    """What a forge has said lately, so that nobody waits for it in every pass.

    A refusal is kept by what was asked, the token included, so that another token is tried at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0.0
        self._last: tuple[type[ForgeUnavailableError], str] = (ForgeUnavailableError, "")
        self._failures = 0
        self._refused: dict[str, tuple[float, Callable[[], PermanentError]]] = {}

    def require(self, *asked: str) -> None:
        """Fail as the forge did, without asking it, while it is too early to ask again.

        Args:
            asked: What a call is refused for: names for the token, and for the token with what is asked.

        Raises:
            ForgeUnavailableError: It is too early; says for how long.
            PermanentError: This was refused just now.
        """
        now = self._clock.monotonic()
        if now < self._until:
            kind, message = self._last
            raise kind(message, retry_after=self._until - now)
        self._refused = {name: item for name, item in self._refused.items() if now < item[0]}
        for name in asked:
            if name in self._refused:
                _, error = self._refused[name]
                raise error()

    def unavailable(self, message: str) -> ForgeUnavailableError:
        """It failed: the error to raise; the wait doubles with each failure in a row."""
        wait = min(_FIRST_UNAVAILABLE * 2**self._failures, _LONGEST_UNAVAILABLE)
        return self._wait(ForgeUnavailableError, message, wait)

    def limited(self, message: str, wait: float | None) -> ForgeUnavailableError:
        """It wants us to wait for some seconds, or does not say for how long: the error to raise."""
        longer = _FIRST_LIMITED * 2**self._failures
        return self._wait(RateLimitedError, message, min(longer if wait is None else max(wait, 1.0), _LONGEST))

    def refused(self, name: str, error: Callable[[], PermanentError]) -> PermanentError:
        """It said no for good: the error to raise, now and for the next minute."""
        self._refused[name] = (self._clock.monotonic() + _REFUSED, error)
        return error()

    def answered(self) -> None:
        """It answered sensibly."""
        self._failures = 0

    def _wait(self, kind: type[ForgeUnavailableError], message: str, wait: float) -> ForgeUnavailableError:
        self._failures = min(self._failures + 1, 12)
        self._until = self._clock.monotonic() + wait
        self._last = kind, message
        return kind(message, retry_after=wait)
