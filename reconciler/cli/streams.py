"""`reconcile daemon --ads`: the ADS server beside the loop. What connects or goes wakes it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler.settings import AdsSettings

if TYPE_CHECKING:
    from reconciler.clock import Clock
    from reconciler.model.resource import Resource
    from reconciler.xds import Plane

AGAIN = 60.0
"""Seconds after which a peer that is still refused for the same reason is named again."""

_REMEMBERED = 1_000


class Streams:
    """The ADS server of a daemon.

    Args:
        fresh: A load assignment with the newest endpoints.

    Attributes:
        plane: What it serves; passes publish to it.

    Raises:
        UsageError: The certificates can't be used, or plaintext would be served to other hosts unasked.
    """

    def __init__(
        self,
        settings: AdsSettings,
        *,
        clock: Clock,
        logger: logging.Logger,
        fresh: Callable[[Resource], Resource] = lambda resource: resource,
    ) -> None:
        from reconciler.xds import Plane
        from reconciler.xds.server import AdsServer

        self._settings = settings
        self._logger = logger
        self._told: Callable[[], None] = lambda: None
        self.plane: Plane = Plane(clock=clock, on_change=lambda _key: self._told(), fresh=fresh)
        self._refused: dict[str, float] = {}
        self._clock = clock
        self._server = AdsServer(self.plane, settings, on_refused=self._say_refused)

    def start(self, told: Callable[[], None]) -> str:
        """Serve; returns the address with the port that was bound.

        Args:
            told: Called when a proxy connects or goes; must not wait.

        Raises:
            AdsError: The address can't be listened on.
        """
        self._told = told
        address = self._server.start()
        self._logger.info("ADS on %s, %s", address, self._manner())
        if self._settings.plaintext and not self._settings.certificate:
            self._logger.warning(
                "ADS is PLAINTEXT on %s: whoever reaches it is served, as any proxy it says it is", address
            )
        return address

    def stop(self) -> None:
        """End all streams."""
        self._told = lambda: None
        self._server.stop()

    def _say_refused(self, peer: str, why: str) -> None:
        """Say who was refused and why; of one that goes on trying, once in a while."""
        from reconciler.plan import visible

        now, said = self._clock.monotonic(), f"{peer.rpartition(':')[0]} {why}"
        if now - self._refused.get(said, -math.inf) < AGAIN:
            return
        if len(self._refused) >= _REMEMBERED:
            self._refused.clear()
        self._refused[said] = now
        self._logger.warning("ADS refused %s: %s", visible(peer), visible(why))

    def _manner(self) -> str:
        if not self._settings.certificate:
            return "plaintext"
        if not self._settings.client_ca:
            return "TLS; any peer may say that it is any proxy (--ads-ca asks for certificates)"
        return "mutual TLS"
