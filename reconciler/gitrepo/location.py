"""Telling paths from URLs, and showing URLs without their passwords. Pure."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

_SCHEMES = ("file://", "ssh://", "git+ssh://", "ssh+git://", "https://", "http://", "git://")
_SCP = re.compile(r"(?:[^/@:\s-][^/@:\s]*@)?(?:\[[0-9a-fA-F:.]+\]|[^/@:\s-][^/@:\s]*):(?!:).+")
_HTTP_USER = re.compile(r"(https?://)[^/\s]+@")
_PASSWORD = re.compile(r"(://[^/@:\s]+):[^/\s]*@")


def is_url(location: str) -> bool:
    """Whether Git would contact a remote: a URL with a scheme, or `[user@]host:path` as scp writes it.

    As in Git, a slash before the first colon makes it a path. A transport helper (`ext::...`) is never a URL here: it would
    run a command of its choice.
    """
    return location.startswith(_SCHEMES) or _SCP.fullmatch(location) is not None


def redacted(text: str) -> str:
    """Any text without the secrets in its URLs: over HTTP the user is often a token, so it goes with the password."""
    return _PASSWORD.sub(r"\1@", _HTTP_USER.sub(r"\1", text))


def mirror_name(url: str) -> str:
    """The name of a URL's mirror directory: readable, one per repository, the same after a change of password."""
    plain = redacted(url)
    path = urlsplit(plain).path if "://" in plain else plain.partition(":")[2]
    tail = "-".join(part for part in path.removesuffix("/").removesuffix(".git").split("/")[-2:] if part)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", tail).strip(".-")[-60:] or "repository"
    return f"{slug}-{hashlib.sha256(plain.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
