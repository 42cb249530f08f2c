"""Which daemon a preview asks about the live fleet: on this machine by its socket, on another by its address and a token."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.cli.remote import Elsewhere, Place
from reconciler.errors import UsageError
from reconciler.http import NoTokenError, read_token

TOKEN = "RECONCILE_DAEMON_TOKEN"  # noqa: S105 -- the name of the variable
_FORM = "write https://HOST:PORT, or the path of its Unix socket"


def daemon_at(
    given: str, *, token_file: Path | None, ca: Path | None, environ: Mapping[str, str]
) -> tuple[Place | None, str]:
    """The daemon that is asked; and if one is named that can't be, why, for reviewers.

    A token that is not there is no error: a forge keeps secrets from the jobs of forks.

    Args:
        given: `--daemon`; "" for none.
        token_file: `--daemon-token-file`; the token is in the environment without it.
        ca: `--daemon-ca`.
        environ: The environment.

    Raises:
        UsageError: It has another form, the file holds no token, or the token would be sent in plain text.
    """
    if not given:
        return None, ""
    if "://" not in given:
        return Path(given), ""
    _require_address(given)
    try:
        token = read_token(token_file) if token_file is not None else environ.get(TOKEN, "").strip()
    except NoTokenError as error:
        if not error.empty:
            raise UsageError(f"{token_file} holds no token: {error}", hint="name a file with one token") from error
        token = ""
    if not token:
        return None, f"there is no token for {given}; jobs of forks have none"
    if not token.isascii() or not token.isprintable():
        raise UsageError(f"{TOKEN} holds no token", hint="give it what `reconcile token create` showed")
    return Elsewhere(address=given, token=token, ca="" if ca is None else str(ca)), ""


def _require_address(given: str) -> None:
    try:
        url = urlsplit(given)
        host, _ = url.hostname or "", url.port
    except ValueError as error:
        raise UsageError(f"--daemon {given}: {error}", hint=_FORM) from error
    if url.scheme not in {"http", "https"} or not host or url.username or url.query or url.fragment:
        raise UsageError(f"--daemon {given} is no address of a daemon", hint=_FORM)
    if url.scheme == "http" and not _local(host):
        raise UsageError(
            f"--daemon {given}: the token would be sent in plain text",
            hint="use https://; the daemon's --http-cert gives it a certificate",
        )


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
