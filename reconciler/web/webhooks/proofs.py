"""Proofs that a delivery is from who shares a secret with us. Compared in constant time, with every secret there is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence

WINDOW = 300
"""Seconds by which a signed time may differ from ours, as Standard Webhooks has it."""
_ENCODED = b"whsec_"


def hex_digest(secret: bytes, said: bytes) -> str:
    """HMAC-SHA256, in hexadecimal: GitHub's and Gitea's form."""
    return hmac.new(secret, said, hashlib.sha256).hexdigest()


def standard_digest(secret: bytes, said: bytes) -> str:
    """HMAC-SHA256 in base64 with its version: the form of Standard Webhooks, and GitLab's.

    A secret that begins with `whsec_` is base64 of the key; one that is not even that proves nothing.
    """
    if secret.startswith(_ENCODED):
        try:
            secret = base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
        except binascii.Error:
            return ""
    return "v1," + base64.b64encode(hmac.new(secret, said, hashlib.sha256).digest()).decode() if secret else ""


def any_equal(given: Iterable[str], expected: Sequence[str]) -> bool:
    """Whether one of what was given is one of what is expected; takes as long whichever it is."""
    found = False
    for one in given:
        for other in expected:
            equal = hmac.compare_digest(one.encode("latin-1", "replace"), other.encode())
            found = found or (equal and bool(other))
    return found


def timely(stamp: str, now: float) -> bool:
    """Whether a time in seconds since 1970 is near enough to ours."""
    digits = stamp.isascii() and stamp.isdigit() and len(stamp) <= len("9999999999")
    return digits and abs(int(stamp) - now) <= WINDOW
