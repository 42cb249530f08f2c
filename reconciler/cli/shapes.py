"""Whether what another process says has the fields that are shown, in their types: a daemon of another version may answer otherwise.

Pure. A shape is written as what it describes: `{"name": str, "ports": [int]}`. A tuple means one of several; fields that a shape
does not name may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any


def is_time(text: object) -> bool:
    """Whether this is an instant in ISO 8601, with its zone."""
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


class _Of:
    """A mapping with any keys."""

    def __init__(self, shape: object) -> None:
        self.shape = shape


def fits(value: object, shape: object) -> bool:
    """Whether a JSON value has a shape. A truth value is no number here, though Python has it so."""
    match shape:
        case Mapping():
            found = isinstance(value, dict) and all(
                name in value and fits(value[name], of) for name, of in shape.items()
            )
        case _Of():
            found = isinstance(value, dict) and all(fits(item, shape.shape) for item in value.values())
        case tuple():
            found = any(fits(value, one) for one in shape)
        case [one]:
            found = isinstance(value, list) and all(fits(item, one) for item in value)
        case type():
            found = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
        case _ if callable(shape):
            found = bool(shape(value))
        case _:
            found = value == shape
    return found


_Check = Callable[[object], bool]
_TIME: _Check = is_time
_REGISTRY = {
    "registry": str,
    "kind": str,
    "state": ("live", "stale", "silent"),
    "heard": (None, _TIME),
    "since": (None, _TIME),
    "problem": (None, {"message": str}),
    "services": int,
    "instances": int,
    "held": [{"host": str, "had": int, "has": int, "until": _TIME}],
    "flapping": [str],
}
_DECLARED = (None, {"file": str, "document": int, "line": (None, int)})
_ENDPOINT = {
    "address": str,
    "ports": _Of(int),
    "labels": _Of(str),
    "locality": str,
    "weight": int,
    "health": ("healthy", "unhealthy", "draining"),
    "registry": (None, str),
    "declared": _DECLARED,
}
_SERVICE = {
    "host": str,
    "namespace": str,
    "location": str,
    "resolution": str,
    "addresses": [str],
    "export_to": [str],
    "ports": [{"number": int, "name": str, "protocol": str, "callers": (None, [str]), "whole": (None, [str])}],
    "declared": _DECLARED,
    "registries": [str],
    "counts": {"instances": int, "healthy": int, "unhealthy": int, "draining": int},
    "callers": {"proxies": [str], "of": int},
    "endpoints": [_ENDPOINT],
}
INVENTORY: Mapping[str, Any] = MappingProxyType(
    {
        "repository": str,
        "ref": str,
        "commit": str,
        "domain": str,
        "now": _TIME,
        "pid": int,
        "registries": [_REGISTRY],
        "services": [_SERVICE],
        "unused": [{"host": str, "registries": [str]}],
        "proxies": [{"proxy": str, "admin": (None, str), "configured_here": bool}],
    }
)
"""What `GET /v1/services` answers."""


def registries_fit(value: object) -> bool:
    """Whether these are registries, as `registry_document` makes them."""
    return fits(value, [_REGISTRY])
