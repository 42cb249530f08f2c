"""Messages read as dicts, in the same order in every process.

Protobuf's maps have no order, and `MessageToDict` takes whatever one the process happens to have; what people are shown,
and what they compare, must not depend on that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

_ANY = "google.protobuf.Any"
_FREE = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})


def with_sorted_maps(descriptor: Descriptor, value: Any) -> Any:
    """The JSON-like form of a message (`preserving_proto_field_name`), with the keys of its maps and Structs sorted.

    Fields of messages stay in the order of their numbers.
    """
    if descriptor.full_name in _FREE:
        return _sorted(value)
    if descriptor.full_name == _ANY and isinstance(value, dict):
        inner = _named(value["@type"].rpartition("/")[2])
        # A type with a JSON form of its own, such as a Struct, stands under `value`.
        if inner.full_name in _FREE:
            return {key: _sorted(item) for key, item in value.items()}
        return {"@type": value["@type"]} | with_sorted_maps(inner, {k: v for k, v in value.items() if k != "@type"})
    if not isinstance(value, dict) or not _may_hold_map(descriptor):
        return value
    fields = descriptor.fields_by_name
    return {name: _field(fields[name], item) if name in fields else item for name, item in value.items()}


def _field(field: Any, value: Any) -> Any:
    inner = field.message_type
    if inner is None:
        return value
    if inner.GetOptions().map_entry:
        element = inner.fields_by_name["value"].message_type
        return {
            key: with_sorted_maps(element, value[key]) if element is not None else value[key] for key in sorted(value)
        }
    if isinstance(value, list) and inner.full_name not in _FREE:
        return [with_sorted_maps(inner, item) for item in value]
    return with_sorted_maps(inner, value)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@cache
def _named(full_name: str) -> Descriptor:
    return descriptor_pool.Default().FindMessageTypeByName(full_name)


@cache
def _may_hold_map(root: Descriptor) -> bool:
    """Whether a map, a Struct or an `Any` can stand somewhere inside; most messages need not be walked."""
    seen, waiting = {root.full_name}, [root]
    while waiting:
        for field in waiting.pop().fields:
            inner = field.message_type
            if inner is None or inner.full_name in seen:
                continue
            if inner.GetOptions().map_entry or inner.full_name in {_ANY, *_FREE}:
                return True
            seen.add(inner.full_name)
            waiting.append(inner)
    return False
