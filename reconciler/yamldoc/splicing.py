"""Changing values in a text by their bytes, so that comments, quotes and line ends of a user's file survive.

A splice proves itself: the new text is read again, and anything but exactly the wanted change is refused. Where the bytes of a
key that comes or goes stand is found in `blocks`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model.origin import FieldPath
from reconciler.yamldoc.blocks import Span, SpliceError, Value, drop, exchange, glue, put, scalar_text
from reconciler.yamldoc.loading import load
from reconciler.yamldoc.positions import Node, nodes
from reconciler.yamldoc.scalars import Scalar
from reconciler.yamldoc.stream import YamlError, decode


@dataclass(frozen=True, slots=True)
class Edit:
    """One scalar and its new value.

    Attributes:
        document: Index of the document in the text, from 0.
        path: The value, which must be there and be a scalar.
    """

    document: int
    path: FieldPath
    value: Scalar


@dataclass(frozen=True, slots=True)
class Put:
    """A key of a mapping and its value, whether it is there or not.

    A new key comes behind the mapping's last, written as its siblings are: indented like them, or inside their brackets. A scalar
    that is there is changed as by `Edit`. A mapping that is there is exchanged as a whole, with the comments inside it.

    Attributes:
        document: Index of the document in the text, from 0.
        path: The key. The mapping that it is in must be there, and not be empty unless in brackets.
        value: A scalar, or a mapping of such values.
    """

    document: int
    path: FieldPath
    value: Value


@dataclass(frozen=True, slots=True)
class Drop:
    """A key of a mapping that goes, with its value and line: the reverse of `Put`.

    Attributes:
        document: Index of the document in the text, from 0.
        path: The key, which must be there, with nothing else on its line, and not be the only one of a block.
    """

    document: int
    path: FieldPath


Change = Edit | Put | Drop


def splice(text: bytes, edits: Sequence[Change]) -> bytes:
    """The text with these changes and every other byte as it was.

    A string keeps the quotes of the one it replaces.

    Raises:
        SpliceError: A value is not there, is no scalar, is a block scalar (`|`), has an anchor or is reached through an
            alias that others share; two edits are of one value; a key can't come or go where it would have to; or the
            outcome would not read as intended.
        YamlError: The text can't be read to begin with.
    """
    wanted = _plain(load(text))
    decoded = decode(text, "")
    roots = list(nodes(decoded))
    if len({(edit.document, edit.path) for edit in edits}) < len(edits):
        raise SpliceError("two edits are of the same value", hint="give each value once")
    spans: list[Span] = []
    for edit in edits:
        spans += _spans(decoded, roots, edit)
        _apply(wanted, edit)
    changed = _joined(decoded, spans).encode()
    if not _reads_as(changed, wanted):
        shown = ", ".join(_show(edit.path) for edit in edits)
        raise SpliceError(
            f"changing {shown} in place would change something else too",
            hint="edit the file by hand; a value that is shared through an anchor has to be written out first",
        )
    return changed


def _spans(text: str, roots: Sequence[Node | None], edit: Change) -> list[Span]:
    if isinstance(edit, Edit):
        node = _find(roots, edit)
        return [Span(node.start, node.end, _written(text, node, edit))]
    parent, key = _parent(roots, edit)
    if isinstance(edit, Drop):
        if key not in parent.children:
            raise SpliceError(f"{_show(edit.path)} is not in the text", hint="there is nothing to remove")
        return drop(text, parent, key, _show(edit.path))
    if key not in parent.children:
        return put(text, parent, key, edit.value)
    if isinstance(edit.value, Mapping):
        return exchange(text, parent, key, edit.value, _show(edit.path))
    return _spans(text, roots, Edit(edit.document, edit.path, edit.value))


def _parent(roots: Sequence[Node | None], edit: Put | Drop) -> tuple[Node, str]:
    """The mapping that a key is, or is to be, in."""
    *above, key = edit.path or ("",)
    node = roots[edit.document] if 0 <= edit.document < len(roots) else None
    for step in above:
        node = node.children.get(step) if node else None
    where = _show(tuple(above))
    if not isinstance(key, str) or node is None:
        raise SpliceError(f"{where} is not in the text", hint="add it by hand once")
    if not node.mapping:
        raise SpliceError(f"{where} is no mapping of its own", hint="write it as one, not empty and not as an alias")
    return node, key


def _joined(text: str, spans: Sequence[Span]) -> str:
    """The text with every span exchanged. At one place the deeper key comes first, then the order given."""
    out: list[str] = []
    done = 0
    for span in sorted(spans, key=lambda span: (span.start, span.stop, -span.column)):
        if span.start < done:
            raise SpliceError("two edits are of the same value", hint="give each value once")
        out += [text[done : span.start], span.new]
        done = span.stop
    return "".join([*out, text[done:]])


def _find(roots: Sequence[Node | None], edit: Edit) -> Node:
    node = roots[edit.document] if 0 <= edit.document < len(roots) else None
    for step in edit.path:
        node = node.children.get(step) if node else None
    if node is None:
        raise SpliceError(f"{_show(edit.path)} is not in the text", hint="add the field by hand once")
    if node.style is None:
        raise SpliceError(f"{_show(edit.path)} is not a plain or quoted value", hint="write the value out by hand")
    if node.style in {"|", ">"} or node.anchored:
        what = "has an anchor" if node.anchored else "is a block scalar"
        raise SpliceError(f"{_show(edit.path)} {what}", hint="write it as a plain or quoted value")
    return node


def _written(text: str, node: Node, edit: Edit) -> str:
    return glue(text, node) + scalar_text(edit.value, node.style or "")


def _apply(documents: Any, edit: Change) -> None:
    """The same change of the plain values."""
    if not edit.path:
        documents[edit.document] = edit.value if isinstance(edit, Edit) else None
        return
    target = documents[edit.document]
    for step in edit.path[:-1]:
        target = target[step]
    if isinstance(edit, Drop):
        del target[edit.path[-1]]
    else:
        target[edit.path[-1]] = edit.value


def _reads_as(text: bytes, wanted: Any) -> bool:
    try:
        return json.dumps(load(text)) == json.dumps(wanted, default=dict)
    except YamlError:
        return False


def _plain(documents: tuple[Any, ...]) -> Any:
    """A copy in which nothing is shared, so that one edit changes one place."""
    return json.loads(json.dumps(documents))


def _show(path: FieldPath) -> str:
    out = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return out.removeprefix(".") or "the document"
