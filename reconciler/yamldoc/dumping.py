"""Plain values as block-style YAML that people read: receipts, `render`. Never used on a file that a person wrote."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from typing import Any

from ruamel.yaml.cyaml import CEmitter  # type: ignore[attr-defined]  # made for ruamel's own dumpers
from ruamel.yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from reconciler.errors import BugError
from reconciler.yamldoc.scalars import plain_is_same

_NEVER_FOLD = 2**31 - 1


def dump(value: Any) -> str:
    """One document: keys in the order given, deterministic, and `load` reads the same value back.

    Takes dicts with string keys, lists and tuples, str, int (64 bits), finite floats, bool and None. Strings are quoted where
    any reader of YAML, 1.1 included, would take them for something else.

    Raises:
        BugError: Anything else is inside.
    """
    out = io.StringIO()
    emitter = CEmitter(out, width=_NEVER_FOLD, allow_unicode=True, indent=2)
    emitter.emit(StreamStartEvent(encoding=None))
    emitter.emit(DocumentStartEvent(explicit=False))
    for event in _events(value):
        emitter.emit(event)
    emitter.emit(DocumentEndEvent(explicit=False))
    emitter.emit(StreamEndEvent())
    emitter.dispose()
    return out.getvalue()


def _events(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield MappingStartEvent(None, None, implicit=True, flow_style=not value)
        for key, item in value.items():
            if not isinstance(key, str):
                raise BugError(f"can't write the key {key!r} as YAML")
            yield _string(key, key=True)
            yield from _events(item)
        yield MappingEndEvent()
    elif isinstance(value, list | tuple):
        yield SequenceStartEvent(None, None, implicit=True, flow_style=not value)
        for item in value:
            yield from _events(item)
        yield SequenceEndEvent()
    elif isinstance(value, str):
        yield _string(value)
    else:
        yield _plain(_literal(value))


def _literal(value: Any) -> str:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    raise BugError(f"can't write {value!r} as YAML")


def _string(text: str, *, key: bool = False) -> ScalarEvent:
    if not plain_is_same(text):
        return _scalar(text, '"')
    if "\n" in text and not key:
        return _scalar(text, "|" if text.strip() == text.rstrip("\n") else '"')
    return _scalar(text, None) if text.isprintable() else _scalar(text, '"')


def _plain(text: str) -> ScalarEvent:
    return ScalarEvent(None, None, (True, False), text, style=None)


def _scalar(text: str, style: str | None) -> ScalarEvent:
    return ScalarEvent(None, None, (True, True), text, style=style)
