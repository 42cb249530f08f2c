"""TLS for the HTTP server: a certificate from files, read again when they are replaced. Connections that stand keep what they have."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from reconciler.errors import UsageError


class ServerCertificate:
    """The certificate that every new connection is shown.

    Args:
        certificate: PEM file: the certificate, with its chain.
        key: PEM file of its private key, without a passphrase.
        logger: Told when the files were read again, and when they could not be.

    Raises:
        UsageError: The files can't be used.
    """

    def __init__(self, certificate: Path, key: Path, *, logger: logging.Logger) -> None:
        self._certificate = certificate
        self._key = key
        self._logger = logger
        self._lock = threading.Lock()
        try:
            self._seen = self._dates()
            self._current = self._context()
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"{certificate} and {key} can't be used for HTTPS: {_words(error)}",
                hint="name a PEM certificate with its chain, and its private key without a passphrase",
            ) from None
        self.context = self._current
        """What the server listens with; each handshake goes on with the newest."""
        self.context.sni_callback = self._greet  # called at each handshake, whether the client names a server or not

    def _greet(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest()

    def _newest(self) -> ssl.SSLContext:
        """From the files as they are now; while they don't fit together, as they were."""
        with self._lock:
            try:
                dates = self._dates()
                if dates == self._seen:
                    return self._current
                self._seen = dates
                self._current = self._context()
            except (OSError, ssl.SSLError) as error:
                self._logger.warning("%s can't be used, so the certificate stays: %s", self._certificate, _words(error))
            else:
                self._logger.info("%s was replaced and is in use", self._certificate)
            return self._current

    def _dates(self) -> tuple[tuple[int, int, int, int], ...]:
        """What shows that a file is another: also that somebody may read it only now, or that a copy was given its model's date."""
        found = [path.stat() for path in (self._certificate, self._key)]
        return tuple((item.st_ino, item.st_size, item.st_mtime_ns, item.st_ctime_ns) for item in found)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
        return context


def _no_passphrase() -> str:
    """Nobody is asked for one on a terminal."""
    return ""


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
