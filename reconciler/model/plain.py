"""Specs as plain values, spelled as people write them in YAML: what is left at its default is left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from reconciler.clock import format_duration
from reconciler.model.spec import Spec


def plain(spec: Spec) -> dict[str, Any]:
    """The mapping that loads as this spec again."""
    found: dict[str, Any] = {}
    for name, field in type(spec).model_fields.items():
        value = getattr(spec, name)
        if field.is_required() or value != field.default:
            found[str(field.alias)] = _value(value)
    return found


def _value(value: Any) -> Any:
    if isinstance(value, Spec):
        return plain(value)
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _value(item) for name, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
