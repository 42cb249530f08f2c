"""How numbers, names and values are written in plans, wherever they are shown.

Names come from policies and from live proxies: none of them may break out of a line or steer a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reconciler.model.key import Key
from reconciler.plan.identity import compact

_VALUE = 120
_NAMES = 20


def visible(text: str) -> str:
    r"""A text in which everything that isn't printable is escaped as in Python: `\n`, `\x1b`, `\u202e`, `\udc80`.

    That covers terminal escapes, line breaks of all kinds, text direction marks and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def shorten(text: str, limit: int) -> str:
    """At most this many characters: the middle of a longer text is left out."""
    if len(text) <= limit:
        return text
    head = (limit - 3) * 2 // 3
    return f"{text[:head]}...{text[len(text) - (limit - 3 - head) :]}"


def show_value(value: Any) -> str:
    """A JSON value in one short line."""
    return shorten(visible(compact(value)), _VALUE)


def number(value: float) -> str:
    """Without needless decimals, to a thousandth: `5`, `0.1`, `33.333`."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """`5%`, `0.1%`, `33.333%`; never 0% or 100% for what is only close to it."""
    if 0 < share < 0.001:  # noqa: PLR2004 -- what `number` would round away
        return "<0.001%"
    if 99.999 < share < 100:  # noqa: PLR2004
        return ">99.999%"
    return f"{number(share)}%"


def count(amount: int, noun: str) -> str:
    """`1 proxy`, `2 proxies`, `3 details`."""
    if amount == 1:
        return f"1 {noun}"
    return f"{amount} {noun[:-1]}ies" if noun.endswith("y") else f"{amount} {noun}s"


def listed(names: Sequence[str], limit: int = _NAMES) -> str:
    """`a, b, c`; beyond the limit `a, b and 7 more`."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def show_proxies(proxies: Iterable[Key], limit: int = _NAMES) -> str:
    """`reviews-v1`, or `2 proxies: gateway, reviews-v1`."""
    names = [shorten(visible(key.short()), _VALUE) for key in proxies]
    return names[0] if len(names) == 1 else f"{count(len(names), 'proxy')}: {listed(names, limit)}"
