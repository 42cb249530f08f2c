"""A policy that was sent as JSON, as the YAML that is written: files are for people. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from reconciler.cycle.editing.errors import PolicyTextError
from reconciler.yamldoc import YamlError, dump, load

_DEEPEST = 100
_LARGEST_NUMBER = 2**63 - 1


def yaml_of(text: bytes) -> bytes:
    """YAML that reads as this JSON object does.

    Raises:
        PolicyTextError: It is none, or has something that YAML can't say: a key twice, a number beyond 64 bits, half a character.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        _require_plain(value, 0)
        return _written(value)
    except (ValueError, RecursionError, YamlError) as error:
        words = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise PolicyTextError(f"this is no policy in JSON: {words[:200]}", hint="send one JSON object") from None


def _written(value: Any) -> bytes:
    text = dump(value).encode()
    if load(text) != (value,):
        raise ValueError("it has characters that YAML can't say")
    return text


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _require_plain(value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deep")
    if depth == 0 and not isinstance(value, dict):
        raise ValueError("it is no object")
    if isinstance(value, dict):
        for key, inner in value.items():
            key.encode()
            _require_plain(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _require_plain(inner, depth + 1)
    elif isinstance(value, str):
        value.encode()  # half a surrogate pair is no character
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) > _LARGEST_NUMBER
    ):
        raise ValueError("a number is too large")
