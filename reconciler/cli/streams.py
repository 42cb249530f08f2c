"""`reconcile daemon --ads`: the ADS server beside the loop. What connects or goes wakes it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import UsageError
from reconciler.settings import DEFAULT_IDENTITY, AdsSettings

if TYPE_CHECKING:
    from reconciler.clock import Clock
    from reconciler.model.resource import Resource
    from reconciler.xds import Plane

AGAIN = 60.0
"""Seconds after which a peer that is still refused for the same reason is named again."""

_REMEMBERED = 1_000
_LAST_PORT = 65535

Ads = Annotated[
    str,
    typer.Option("--ads", envvar="RECONCILE_ADS", metavar="HOST:PORT", help="Serve ADS there. Port 0 picks one and says it."),
]  # fmt: skip
AdsCert = Annotated[
    str, typer.Option("--ads-cert", envvar="RECONCILE_ADS_CERT", metavar="FILE", help="The ADS server's certificate, PEM.")
]  # fmt: skip
AdsKey = Annotated[
    str, typer.Option("--ads-key", envvar="RECONCILE_ADS_KEY", metavar="FILE", help="Its private key, PEM.")
]  # fmt: skip
AdsCa = Annotated[
    str,
    typer.Option(
        "--ads-ca",
        envvar="RECONCILE_ADS_CA",
        metavar="FILE",
        help="Authorities of the proxies' certificates, PEM: with it every proxy has to show one.",
    ),
]
AdsIdentity = Annotated[
    list[str],
    typer.Option(
        "--ads-identity",
        metavar="NAME",
        help=f"How a certificate names its proxy. Repeatable. Default: {DEFAULT_IDENTITY}",
    ),
]
AdsPlaintext = Annotated[
    bool, typer.Option("--ads-plaintext", help="Serve ADS without TLS to other hosts too: anybody who reaches it is served.")
]  # fmt: skip


def ads_settings(
    address: str, *, certificate: str, key: str, client_ca: str, identities: list[str], plaintext: bool
) -> AdsSettings | None:
    """The settings that these options ask for; None without `--ads`.

    Raises:
        UsageError: They contradict each other.
    """
    if not address:
        if certificate or key or client_ca or identities or plaintext:
            raise UsageError("--ads-cert and the other options of ADS need --ads", hint="add --ads HOST:PORT")
        return None
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise UsageError(f"--ads {address!r} is not an address", hint="write it like 127.0.0.1:15010 or [::1]:15010")
    if identities and not client_ca:
        raise UsageError("--ads-identity is about the proxies' certificates", hint="give --ads-ca, which asks for them")
    return AdsSettings(
        address=address,
        certificate=certificate,
        key=key,
        client_ca=client_ca,
        identities=tuple(identities) or (DEFAULT_IDENTITY,),
        plaintext=plaintext,
    )


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
