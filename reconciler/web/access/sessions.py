"""Sessions of the page: a cookie that stands for a token, kept in memory only and bounded. Knows nothing of HTTP.

A session says which token it came from and nothing of what that may do: roles are read from the tokens file at each request, so
revoking a token ends its sessions.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.clock import Clock
from reconciler.web.access.tokens import digest

LASTS = timedelta(hours=12)
_MOST = 1000
_MOST_OF_ONE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who has shown a token.

    Attributes:
        token: The token's id.
        csrf: What every request that changes something has to repeat in a header.
        expires: When it ends, UTC.
    """

    token: str
    csrf: str
    expires: datetime


class Sessions:
    """All sessions of one server. Only hashes of cookies are kept: they are found in constant time by what nobody can steer.

    Args:
        clock: For their ends.
        most: Of all; the oldest ends where there are more.
        of_one: Of one token, likewise.
    """

    def __init__(self, clock: Clock, *, most: int = _MOST, of_one: int = _MOST_OF_ONE) -> None:
        self._clock = clock
        self._most = most
        self._of_one = of_one
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Session] = OrderedDict()

    def open(self, token: str, *, until: datetime | None = None) -> tuple[str, Session]:
        """A new session of a token, by its id, which ends with it. Returns the cookie, which is kept nowhere."""
        cookie = secrets.token_urlsafe(32)
        end = self._clock.now() + LASTS
        session = Session(token=token, csrf=secrets.token_urlsafe(32), expires=min(end, until) if until else end)
        with self._lock:
            self._forget_ended()
            of_it = [key for key, other in self._open.items() if other.token == token]
            surplus = of_it[: max(0, len(of_it) + 1 - self._of_one)]
            for key in surplus:
                del self._open[key]
            while len(self._open) >= self._most:
                self._open.popitem(last=False)
            self._open[digest(cookie)] = session
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """The session that a cookie stands for, if it has not ended."""
        with self._lock:
            session = self._open.get(digest(cookie))
        return session if session is not None and self._clock.now() < session.expires else None

    def close(self, cookie: str) -> None:
        """End a session; nothing if there is none."""
        with self._lock:
            self._open.pop(digest(cookie), None)

    def _forget_ended(self) -> None:
        now = self._clock.now()
        for key in [key for key, session in self._open.items() if session.expires <= now]:
            del self._open[key]
