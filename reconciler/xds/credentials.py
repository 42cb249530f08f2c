"""With which certificates the server speaks. They are read again when they are replaced on the disk."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import Any

import grpc

from reconciler.errors import UsageError
from reconciler.settings import AdsSettings


def server_credentials(settings: AdsSettings) -> Any:
    """What gRPC calls server credentials; None for plaintext.

    Raises:
        UsageError: A file is missing or can't be read, or plaintext would be spoken with other hosts unasked.
    """
    if not settings.certificate and not settings.key:
        if settings.client_ca:
            raise UsageError(
                "proxies can't be asked for certificates without one of our own",
                hint="give --ads-cert and --ads-key beside --ads-ca",
            )
        if not settings.plaintext and not _local(settings.address):
            raise UsageError(
                f"ADS on {settings.address} would be plaintext, to anybody who can reach it",
                hint="give --ads-cert, --ads-key and --ads-ca, listen on 127.0.0.1, or say --ads-plaintext",
            )
        return None
    if not settings.certificate or not settings.key:
        raise UsageError("a certificate needs its key", hint="give --ads-cert and --ads-key")
    files = _Files(settings)
    return grpc.dynamic_ssl_server_credentials(
        files.configuration(), files.again, require_client_authentication=bool(settings.client_ca)
    )


class _Files:
    """The files of the settings, as they were read last."""

    def __init__(self, settings: AdsSettings) -> None:
        self._settings = settings
        self._read = self._content()

    def configuration(self) -> Any:
        """For gRPC."""
        certificate, key, ca = self._read
        return grpc.ssl_server_certificate_configuration([(key, certificate)], ca)

    def again(self) -> Any:
        """A new configuration if a file was replaced; None if not, or if it is half replaced: then the old one stays."""
        try:
            content = self._content()
        except UsageError:
            return None
        if content == self._read:
            return None
        self._read = content
        return self.configuration()

    def _content(self) -> tuple[bytes, bytes, bytes | None]:
        settings = self._settings
        ca = _bytes(settings.client_ca) if settings.client_ca else None
        content = _bytes(settings.certificate), _bytes(settings.key), ca
        _check(settings)  # gRPC says no more than that a handshake failed
        return content


def _check(settings: AdsSettings) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UsageError(
            f"{settings.certificate} and {settings.key} are no certificate with its key: {_why(error)}",
            hint="both have to be PEM, the certificate first in its file, and the key without a password",
        ) from error
    try:
        if settings.client_ca:
            context.load_verify_locations(settings.client_ca)
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"{settings.client_ca} holds no certificates of authorities: {_why(error)}", hint="it has to be PEM"
        ) from error


def _why(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).replace("_", " ").lower()


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from error


def _local(address: str) -> bool:
    """Whether only this machine can reach it."""
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if address.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
