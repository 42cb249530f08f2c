"""Documents as plain values, fast: one pass over the C parser's events, with every limit checked before a value is built.

Limits: nesting of `MAX_DEPTH`, `MAX_ALIASES` uses of anchors a document, and what they expand to; the size of the text is
the caller's. Kubernetes and Istio users expect YAML's JSON subset plus comments and anchors, so that is what is read: string
keys, no tags, no merge keys, no duplicate keys.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.yamldoc.scalars import AMBIGUOUS, AmbiguousScalarError, resolve
from reconciler.yamldoc.stream import Broken, Events, RefusedNode, YamlError, decode, documents, place

MAX_DEPTH = 100
"""Levels of nesting; Istio's and Envoy's deepest documents have about 20."""

MAX_ALIASES = 1_000
"""Uses of anchors in one document."""

MAX_EXPANSION = 1_000_000
"""Nodes and characters that all aliases of one document may stand for, nested ones counted each time."""


def load(text: bytes, *, file: str = "") -> tuple[Any, ...]:
    """All documents of a stream as dicts, lists, str, int, float, bool and None; an empty document is None.

    Aliases share the object that they name. What an unquoted scalar means is written in `scalars`.

    Raises:
        YamlError: One diagnostic for each document that can't be read: `yaml-syntax`, `yaml-encoding`,
            `yaml-control-character`, `yaml-duplicate-key`, `yaml-alias`, `yaml-depth`, `yaml-key`, `yaml-merge-key`, `yaml-tag`,
            `yaml-directive`, `yaml-number`.
    """
    found = read(text, file=file)
    broken = [item.diagnostic for item in found if isinstance(item, Broken)]
    if broken:
        raise YamlError(diagnostics=broken)
    return found


def read(text: bytes, *, file: str = "") -> tuple[Any, ...]:
    """As `load`, with a `Broken` in the place of each document that can't be read, and of the whole if it isn't text."""
    try:
        decoded = decode(text, file)
    except YamlError as error:
        return (Broken(error.diagnostics[0]),)
    return tuple(documents(decoded, file, lambda events: _Builder(decoded, events).document()))


class _Builder:
    """One document. Anchors belong to a document, so nothing outlives it."""

    def __init__(self, text: str, events: Events) -> None:
        self._text = text
        self._base = events.base
        self._next = events.next
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliases = 0
        self._expansion = 0
        self._size = 0  # nodes and characters so far, with aliases expanded

    def document(self) -> Any:
        return self._node(self._next(), 0)

    def _node(self, event: Any, depth: int) -> Any:
        if type(event) is AliasEvent:
            return self._alias(event)
        if event.tag is not None:
            raise _refused(
                event,
                "yaml-tag",
                f"the tag {_short(str(event.tag))} is not supported",
                "remove it: values need no tags",
            )
        before = self._size
        self._size += 1
        if type(event) is ScalarEvent:
            self._size += len(event.value)
            value: Any = self._scalar(event)
        elif depth >= MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            raise _refused(event, "yaml-depth", message, "no policy needs this; check the brackets")
        elif type(event) is MappingStartEvent:
            value = self._mapping(depth + 1)
        else:
            value = self._sequence(event, depth + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._size - before)
        return value

    def _scalar(self, event: Any) -> Any:
        if not event.implicit[0]:
            return event.value
        try:
            return resolve(event.value)
        except AmbiguousScalarError as error:
            hint = (
                'quote it if it is a text ("..."); write a decimal number without leading zeros, an octal one as 0o17'
            )
            raise _refused(event, "yaml-number", str(error), hint) from None

    def _sequence(self, start: Any, depth: int) -> list[Any]:
        if type(start) is not SequenceStartEvent:  # pragma: no cover -- the grammar leaves nothing else
            raise TypeError(start)
        out = []
        while type(event := self._next()) is not SequenceEndEvent:
            out.append(self._node(event, depth))
        return out

    def _mapping(self, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        keys: list[Any] = []
        following = self._next
        while type(event := following()) is not MappingEndEvent:
            key = self._key(event)
            if key in out:
                self._duplicate(key, event, keys)
            keys.append(event)
            event = following()
            if type(event) is ScalarEvent and event.anchor is None and event.ctag is None:
                # Most values are simple: as `_node`, without the call.
                text = event.value
                self._size += len(text) + 1
                out[key] = text if text and text[0] not in AMBIGUOUS else self._scalar(event)
            else:
                out[key] = self._node(event, depth)
        return out

    def _key(self, event: Any) -> str:
        if type(event) is not ScalarEvent:
            raise _refused(event, "yaml-key", "a key must be a simple string", "quote it, or write it out")
        text: str = event.value
        if text.isalpha() and text[0] not in AMBIGUOUS and event.anchor is None and event.ctag is None:
            self._size += len(text) + 1
            return text
        value: Any = text
        if event.implicit[0]:
            if text == "<<":
                hint = "write the fields out; an alias (`*name`) may stand for a whole value"
                raise _refused(event, "yaml-merge-key", "merge keys (`<<`) are not part of YAML 1.2", hint)
            if not text or not text[0].isalpha() or text[0] in AMBIGUOUS:
                value = self._scalar(event)
        if event.tag is not None:
            raise _refused(
                event,
                "yaml-tag",
                f"the tag {_short(str(event.tag))} is not supported",
                "remove it: values need no tags",
            )
        if type(value) is not str:
            raise _refused(event, "yaml-key", f"the key {text or 'null'} is not a string", "quote it")
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, len(value) + 1)
        self._size += len(value) + 1
        return value

    def _duplicate(self, key: str, event: Any, keys: list[Any]) -> None:
        first = next(item for item in keys if item.value == key)
        line, column = place(self._text, self._base + first.start_mark.index)
        message = f"the key {_short(key)} stands here for the second time, the first is at {line}:{column}"
        raise _refused(event, "yaml-duplicate-key", message, "keep one of the two")

    def _alias(self, event: Any) -> Any:
        known = self._anchors.get(event.anchor)
        if known is None:
            message = f"the alias {_short('*' + event.anchor)} has no complete anchor before it"
            raise _refused(event, "yaml-alias", message, "define the anchor first; a value can't contain itself")
        value, size = known
        self._aliases += 1
        self._expansion += size
        self._size += size
        if self._aliases > MAX_ALIASES or self._expansion > MAX_EXPANSION:
            message = f"aliases expand to more than {MAX_ALIASES} values or {MAX_EXPANSION:,} nodes and characters"
            raise _refused(event, "yaml-alias", message, "write the values out")
        return value


def _refused(event: Any, code: str, message: str, hint: str) -> RefusedNode:
    return RefusedNode(code, message, hint, event.start_mark.index)


def _short(text: str) -> str:
    shown = text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004
    return f"`{shown}`"
