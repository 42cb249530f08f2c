"""TLS as a client: what is shown, what is trusted, and in which way it can fail.

Files are read at every new connection, so replacing them renews them. Nothing is trusted beside what is named: not even the
authorities that requests brings along.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from reconciler.settings import AdminSettings


class Fault(StrEnum):
    """What is wrong with a certificate, theirs or ours.

    FILES: ours can't be read. AUTHORITY: theirs is signed by nobody that we trust. EXPIRED: theirs is not valid now. NAME: theirs is for
    somebody else. MISSING: they ask for one, and we have none. REFUSED: they don't take ours.
    """

    FILES = "files"
    AUTHORITY = "authority"
    EXPIRED = "expired"
    NAME = "name"
    MISSING = "missing"
    REFUSED = "refused"


class CertificateFilesError(OSError):
    """Files that were named for TLS can't be used."""


# OpenSSL's X509_V_ERR_ numbers, as `SSLCertVerificationError.verify_code` has them.
_DATES = {9: "is not valid yet", 10: "has expired"}
_NAMES = {62, 63, 64}
_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": Fault.MISSING,
    "TLSV1_ALERT_UNKNOWN_CA": Fault.REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": Fault.REFUSED,
    "TLSV1_ALERT_DECRYPT_ERROR": Fault.REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": Fault.REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": Fault.REFUSED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": Fault.REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": Fault.REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": Fault.REFUSED,
}


def client_context(settings: AdminSettings) -> ssl.SSLContext:
    """A context with the files as they are now.

    Raises:
        CertificateFilesError: One of them can't be used; names it and says why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca:
        _readable(settings.ca)
        try:
            context.load_verify_locations(settings.ca)
        except ssl.SSLError as error:
            raise CertificateFilesError(f"{settings.ca} holds no certificates") from error
    else:
        context.load_default_certs()
    if settings.certificate:
        for path in filter(None, (settings.certificate, settings.key)):
            _readable(path)
        try:
            context.load_cert_chain(settings.certificate, settings.key or None, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise CertificateFilesError(_pair_words(settings, error)) from error
    return context


def fault_of(causes: Sequence[BaseException], *, shown: bool) -> tuple[Fault, str] | None:
    """What TLS failed at, and in words; None if the causes say nothing of certificates.

    Args:
        causes: As `failures` finds them.
        shown: Whether we have a certificate to show.
    """
    for cause in causes:
        if isinstance(cause, CertificateFilesError):
            return Fault.FILES, str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _distrust(cause)
        alert = _ALERTS.get(str(getattr(cause, "reason", ""))) if isinstance(cause, ssl.SSLError) else None
        if alert is not None and shown:
            return Fault.REFUSED, f"it does not accept the certificate that is shown to it ({_plain(cause)})"
        if alert is not None:
            return Fault.MISSING, "it asks for a certificate, and none is configured"
    return None


def _distrust(error: ssl.SSLCertVerificationError) -> tuple[Fault, str]:
    if error.verify_code in _DATES:
        return Fault.EXPIRED, f"its certificate {_DATES[error.verify_code]}"
    if error.verify_code in _NAMES:
        return Fault.NAME, f"its certificate is for somebody else ({error.verify_message.rstrip('.')})"
    return Fault.AUTHORITY, f"its certificate is not of an authority that is trusted ({error.verify_message})"


def _plain(error: BaseException) -> str:
    reason = str(getattr(error, "reason", ""))
    return reason.partition("_ALERT_")[2].replace("_", " ").lower()


def _readable(path: str) -> None:
    try:
        with Path(path).open("rb"):
            return
    except OSError as error:
        raise CertificateFilesError(f"cannot read {path}: {error.strerror or error}") from error


def _pair_words(settings: AdminSettings, error: Exception) -> str:
    files = " and ".join(filter(None, (settings.certificate, settings.key)))
    if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
        return f"{files} do not belong together"
    return f"{files} hold no certificate with its private key, unencrypted"


def _no_password(*_: Any) -> str:
    raise ValueError("a password is asked for")
