"""Who is let in at the TCP address, by which name, and whether they come by TLS: composed from `HttpSettings`."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.clock import Clock
    from reconciler.settings import HttpSettings
    from reconciler.web import Door, Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What one TCP address asks of those who come.

    Attributes:
        access: Who may ask for what.
        names: That the server is reached by beside addresses and localhost.
        open: Whether anybody may read.
        tls: See `WebServer`.
    """

    access: Door
    names: Collection[str]
    open: bool
    tls: ssl.SSLContext | None

    def names_at(self, listener: Listener) -> Collection[str] | None:
        """See `Offer.names`: what only this machine reaches has no other names than those that are said.

        Nor has what anybody may read: a page that is made to bear our address would have a browser inside read it for somebody
        outside. Elsewhere it knows no token, and its browser sends no cookie of ours.
        """
        if self.open and not listener.local:
            return {*self.names, gethostname().lower()}
        return self.names if self.names or listener.local else None


def entrance(settings: HttpSettings, *, clock: Clock, logger: logging.Logger) -> Entrance:
    """Compose it; nothing is bound yet.

    Raises:
        UsageError: The certificate can't be used, or a key comes without one.
        TokensFileError: The tokens file can't be used.
    """
    from reconciler.web import Door, ServerCertificate, TokenFile

    if settings.key and not settings.certificate:
        raise UsageError(
            "the HTTP server has a key without a certificate", hint="name the certificate that it belongs to"
        )
    tls = None
    if settings.certificate:
        key = settings.key or settings.certificate
        tls = ServerCertificate(Path(settings.certificate), Path(key), logger=logger).context
    file = TokenFile(Path(settings.tokens)) if settings.tokens else None
    if file is not None:
        file.tokens()  # what can't be read is an error now, and not when somebody comes
    door = Door(clock, tokens=file, anonymous=settings.anonymous, plaintext=settings.plaintext)
    return Entrance(access=door, names=settings.names, open=file is None or settings.anonymous, tls=tls)


def say(settings: HttpSettings, listener: Listener, *, logger: logging.Logger) -> None:
    """Tell the log where the server is, and what whoever watches over it should know."""
    scheme = "https" if settings.certificate else "http"
    logger.info("HTTP on %s://%s", scheme, listener.address)
    if listener.local:
        return
    if not settings.tokens or settings.anonymous:
        logger.warning(
            "HTTP is OPEN on %s: whoever reaches it reads the status of the fleet; 127.0.0.1 keeps it here",
            listener.address,
        )
    if settings.tokens and not settings.certificate:
        words = (
            "tokens from other hosts are TAKEN in plain text, and who listens on the way has them"
            if settings.plaintext
            else "tokens from other hosts are REFUSED without TLS; give it a certificate"
        )
        logger.warning("HTTP on %s has no certificate: %s", listener.address, words)
