"""Where each value of a document stands in its text.

Slower than `loading` and used only where a place is needed: for a message, or for a splice. It reads the same events, so
documents and paths mean the same here and there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from reconciler.model.origin import FieldPath
from reconciler.yamldoc.loading import MAX_DEPTH
from reconciler.yamldoc.stream import Broken, Events, Lines, RefusedNode, YamlError, decode, documents


@dataclass(slots=True)
class Node:
    """A value in its text.

    Attributes:
        start: Index of its first character (of its anchor, if it has one).
        end: Index after its last character; for a block or an alias too.
        key: Index of the key that it belongs to; its own start in a list.
        style: Of a scalar: "" (plain), a quote, `|` or `>`; None for everything else.
        anchored: Whether it has an anchor.
        mapping: Whether it is a mapping; no alias is.
        flow: Whether it is a list or a mapping in brackets.
        block: Whether it is a list or a mapping without brackets.
        children: By key or index; those of the target for an alias.
    """

    start: int
    end: int
    key: int
    style: str | None = None
    anchored: bool = False
    mapping: bool = False
    flow: bool = False
    block: bool = False
    children: dict[str | int, Node] = field(default_factory=dict)


class Positions:
    """The places of all values of one text, which is read once."""

    def __init__(self, text: bytes) -> None:
        try:
            self._text = decode(text, "")
        except YamlError:
            self._text = ""
        self._roots = list(nodes(self._text))
        self._lines = Lines(self._text)

    def find(self, document: int, path: FieldPath, *, key: bool = False) -> tuple[int, int]:
        """As `locate`."""
        root = self._roots[document] if 0 <= document < len(self._roots) else None
        if root is None:
            return 1, 1
        node, whole = root, True
        for step in path:
            child = node.children.get(step)
            if child is None:
                break
            node, whole = child, False
        else:
            return self._lines.place(node.key if key else node.start)
        return self._lines.place(node.start if whole else node.key)


def locate(text: bytes, document: int, path: FieldPath, *, key: bool = False) -> tuple[int, int]:
    """Line and column, from 1, of a value (or of its key); of the nearest ancestor's key if it isn't there.

    A document that is not in the text, or a text that can't be read, is at (1, 1).
    """
    return Positions(text).find(document, path, key=key)


def nodes(text: str) -> Iterator[Node | None]:
    """The root of each document; None for one that can't be read."""
    for root in documents(text, "", lambda events: _Composer(events).document()):
        yield None if isinstance(root, Broken) else root


class _Composer:
    def __init__(self, events: Events) -> None:
        self._base = events.base
        self._next = events.next
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        return self._node(self._next(), None, 0)

    def _node(self, event: Any, key: int | None, depth: int) -> Node:
        start, end = self._base + event.start_mark.index, self._base + event.end_mark.index
        node = Node(start, end, start if key is None else key)
        if depth > MAX_DEPTH:
            raise RefusedNode("yaml-depth", "nested too deep", "", event.start_mark.index)
        if isinstance(event, AliasEvent):
            target = self._anchors.get(event.anchor)
            node.children = target.children if target else {}
            return node
        if isinstance(event, ScalarEvent):
            node.style = event.style or ""
        else:
            node.flow = bool(event.flow_style)
            node.block = not node.flow
            node.mapping = isinstance(event, MappingStartEvent)
            node.end = (self._mapping if node.mapping else self._sequence)(node, depth + 1)
        if event.anchor is not None:
            node.anchored = True
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, node: Node, depth: int) -> int:
        while not isinstance(event := self._next(), MappingEndEvent):
            at = self._base + event.start_mark.index
            name = event.value if isinstance(event, ScalarEvent) else None
            if name is None:
                raise RefusedNode("yaml-key", "a key must be a simple string", "", event.start_mark.index)
            node.children[name] = self._node(self._next(), at, depth)
        return self._base + int(event.end_mark.index)

    def _sequence(self, node: Node, depth: int) -> int:
        index = 0
        while not isinstance(event := self._next(), SequenceEndEvent):
            node.children[index] = self._node(event, None, depth)
            index += 1
        return self._base + int(event.end_mark.index)
