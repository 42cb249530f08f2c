"""Whether a proxy on ADS can be sent anything now: it holds a stream, and reads it. Waits only where that may change any moment.

A daemon that has just started is connected to by nobody for a second; a proxy that has just lost its stream comes back in one.
Longer than that nobody is waited for: they are published for, and get it when they come.
"""

from __future__ import annotations

import math

from reconciler.clock import Clock
from reconciler.model.key import Key
from reconciler.push.byword import disconnected
from reconciler.push.ways import NotConfirmedError
from reconciler.xds import NodeState, Plane

COMING_BACK = 5.0
"""Seconds for which a stream that is not there is waited for, from the daemon's start or its loss: Envoy comes back in 0.2 to 1.7."""

UNREAD = 1.0
"""Seconds for which a response may wait to be read, or an older one to be answered, before nobody waits for that proxy any more."""

_POLL = 0.05


class Connection:
    """One proxy's streams, as far as a push has to know them."""

    def __init__(self, plane: Plane, key: Key, clock: Clock) -> None:
        self._plane = plane
        self._key = key
        self._clock = clock

    def require(self, until: float = math.inf) -> NodeState:
        """What is known of the proxy, once it is connected.

        Args:
            until: On the clock's monotonic scale: when to stop waiting for one that may be about to come.

        Raises:
            DisconnectedError: It is not connected.
            NotConfirmedError: It does not read what it is sent.
        """
        while True:
            state = self._plane.state(self._key)
            if state.blocked > UNREAD:
                raise NotConfirmedError(
                    f"it has not read what it was sent for {state.blocked:.0f} seconds", hint="look at its load"
                )
            if state.connected:
                return state
            if not self._young(state) or self._clock.monotonic() > until:
                raise disconnected()
            self._clock.sleep(_POLL)

    def _young(self, state: NodeState) -> bool:
        lost = (self._clock.now() - state.since).total_seconds() if state.since else COMING_BACK
        return min(self._clock.monotonic() - self._plane.started, lost) < COMING_BACK
