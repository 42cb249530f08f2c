"""Addresses that the daemon itself asks or tells something: where secrets may go along, so plain text stays on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from reconciler.model.hosts import is_address

_LOOPBACK = ("localhost", "127.", "::1")


def url_problem(text: str, *, secret: bool) -> str:
    """What is wrong with the URL of a server, or "".

    Args:
        text: The URL.
        secret: Whether a token goes along, or the URL itself is to be told to nobody: plain HTTP is for loopback then.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"{text!r} is not a URL"
    if parts.scheme not in {"http", "https"} or not host or port == 0 or any(item.isspace() for item in text):
        return f"{text!r} is not a URL with http:// or https:// and a host"
    if parts.username is not None or parts.password is not None:
        return "a URL with a password would put it into Git"
    if secret and parts.scheme == "http" and not _is_loopback(host):
        return f"{parts.scheme}://{host} would carry what is secret in plain text"
    return ""


def _is_loopback(host: str) -> bool:
    return host == _LOOPBACK[0] or (is_address(host) and host.startswith(_LOOPBACK[1:]))
