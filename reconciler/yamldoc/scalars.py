"""What an unquoted scalar means: YAML 1.2's core schema, with the traps of YAML 1.1 closed.

| text | here | Kubernetes (sigs.k8s.io/yaml, YAML 1.1) |
|---|---|---|
| `on`, `yes`, `off`, `no`, `y`, `n` | string | boolean (`y`, `n`: string) |
| `true`, `null`, `~`, nothing | boolean, null | the same |
| `2024-01-31` | string | string |
| `1_000`, `0b1`, `1:30` | string | number (`1:30`: string) |
| `0x1F`, `0o17`, `1e3`, `.5` | number | the same |
| `0777` | refused: 511 or 777? | 511 |
| `.inf`, `.nan`, `1e999` | refused: JSON has no such numbers | refused |
| whole numbers beyond 64 bits | refused | inexact number |

Nothing that reads as a number here is a different number there. A word that is a boolean there is a string here, and every
field of a policy that wants a boolean or a number refuses a string; so no value changes its meaning unnoticed.
"""

from __future__ import annotations

import math
import re

_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
AMBIGUOUS = frozenset("+-.0123456789~nNtTfF")
"""How an unquoted text begins that may be something else; so may one that is empty."""

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")

_OLD_WORDS = frozenset({"y", "yes", "n", "no", "on", "off"})
_OLD_NUMBER = re.compile(r"[-+]?[0-9][0-9_,:.xXbBoOeE+\-a-fA-F]*\Z|<<\Z|=\Z")

_MAX_INT, _MIN_INT = 2**64 - 1, -(2**63)

Scalar = str | int | float | bool | None


class AmbiguousScalarError(ValueError):
    """A scalar that readers of YAML disagree about, or that JSON can't carry."""


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar.

    Raises:
        AmbiguousScalarError: It is a number to some and another to others, or one that JSON has no form for.
    """
    if text and text[0] not in AMBIGUOUS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return _whole(text, 10)
    if _LEADING_ZERO.match(text):
        raise AmbiguousScalarError(f"{text} is octal to some readers of YAML and decimal to others")
    if _OTHER_BASE.match(text):
        return _whole(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.match(text):
        value = float(text)
        if math.isinf(value):
            raise AmbiguousScalarError(f"{text} is too large a number")
        return value
    if _NOT_FINITE.match(text):
        raise AmbiguousScalarError(f"{text} is not a number that JSON can carry")
    return text


def _whole(digits: str, base: int) -> int:
    # 80 digits of any base are beyond 64 bits; int() of thousands is slow, and refused by Python itself.
    value = int(digits, base) if len(digits) <= 80 else _MAX_INT + 1  # noqa: PLR2004
    if not _MIN_INT <= value <= _MAX_INT:
        raise AmbiguousScalarError(f"{digits[:20]}{'...' if len(digits) > 20 else ''} does not fit into 64 bits")  # noqa: PLR2004
    return value


def plain_is_same(text: str) -> bool:
    """Whether a string may be written without quotes and still be this string, for us and for readers of YAML 1.1."""
    if text.lower() in _OLD_WORDS or _OLD_NUMBER.match(text):
        return False
    try:
        return resolve(text) == text
    except AmbiguousScalarError:
        return False
