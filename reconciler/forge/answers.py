"""What the answers of a forge mean: its words on one line, whether it limits us, and for how long. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from reconciler.http import Reply

_SHOWN = 300


def limits(reply: Reply, words: str) -> bool:
    """Whether a refusal is about the number of calls, not about permissions. GitHub has 403 for both."""
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    headers = reply.headers
    said = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in words.lower()
    return reply.status == HTTPStatus.FORBIDDEN and said


def wait(reply: Reply, now: datetime) -> float | None:
    """Seconds to wait: what it says, or until the limit is reset if that is used up; None if it says neither."""
    after = reply.headers.get("retry-after", "")
    if after.isdecimal():
        return float(after)
    if after:
        try:
            return parsedate_to_datetime(after).timestamp() - now.timestamp()
        except ValueError:
            return None
    for prefix in ("x-ratelimit", "ratelimit"):  # GitHub's, GitLab's
        reset = reply.headers.get(f"{prefix}-reset", "")
        if reply.headers.get(f"{prefix}-remaining") == "0" and reset.isdecimal():
            return float(reset) - now.timestamp()
    return None


def said(reply: Reply) -> str:
    """What the forge says is wrong, on one line.

    GitHub has `message` and a list `errors`; GitLab has `message`, which may be a list or have a list for each field, or `error`
    with `error_description`.
    """
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping):
        return "nothing that can be read"
    errors = document.get("errors")
    parts = [document.get("message"), document.get("error"), document.get("error_description")]
    words = [_one(part) for part in (*parts, *(errors if isinstance(errors, list) else []))]
    text = "; ".join(word for word in words if word) or "no reason"
    return "".join(char if char.isprintable() else " " for char in text)[:_SHOWN]


def _one(part: Any) -> str:
    if isinstance(part, list):
        return ", ".join(_one(item) for item in part)
    if not isinstance(part, Mapping):
        return str(part or "")
    if "field" in part or "code" in part or "message" in part:
        return str(part.get("message") or " ".join(str(part[name]) for name in ("field", "code") if part.get(name)))
    return ", ".join(f"{name} {_one(item)}" for name, item in part.items())
