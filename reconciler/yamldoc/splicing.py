"""Changing single scalars in a text by their bytes, so that comments, quotes and line ends of a user's file survive.

A splice proves itself: the new text is read again, and anything but exactly the wanted change is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.errors import InputError
from reconciler.model.origin import FieldPath
from reconciler.yamldoc.loading import load
from reconciler.yamldoc.positions import Node, nodes
from reconciler.yamldoc.scalars import Scalar, plain_is_same
from reconciler.yamldoc.stream import YamlError, decode

_UNSAFE = re.compile("[^ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What has to be escaped in double quotes: controls, line breaks of YAML 1.1, the byte order mark, non-characters."""

_PLAIN_EVERYWHERE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")


class SpliceError(InputError):
    """A value can't be changed in place; its file has to be edited by hand."""

    default_code = "splice"


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


def splice(text: bytes, edits: Sequence[Edit]) -> bytes:
    """The text with these scalars replaced and every other byte as it was.

    A string keeps the quotes of the one it replaces.

    Raises:
        SpliceError: A value is not there, is no scalar, is a block scalar (`|`), has an anchor or is reached through an
            alias that others share; two edits are of one value; or the outcome would not read as intended.
        YamlError: The text can't be read to begin with.
    """
    before = _plain(load(text))
    decoded = decode(text, "")
    roots = list(nodes(decoded))
    spans: list[tuple[int, int, str]] = []
    for edit in edits:
        node = _find(roots, edit)
        _set(before, edit)
        spans.append((node.start, node.end, _written(decoded, node, edit)))
    out, end = decoded, len(decoded) + 1
    for start, stop, new in sorted(spans, reverse=True):
        if stop > end or start == end:
            raise SpliceError("two edits are of the same value", hint="give each value once")
        out, end = out[:start] + new + out[stop:], start
    changed = out.encode()
    if not _reads_as(changed, before):
        shown = ", ".join(_show(edit.path) for edit in edits)
        raise SpliceError(
            f"changing {shown} in place would change something else too",
            hint="edit the file by hand; a value that is shared through an anchor has to be written out first",
        )
    return changed


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
    new = _scalar_text(edit.value, node.style or "")
    glued = node.start == node.end and node.start > 0 and text[node.start - 1] not in " \t\n\r"
    return f" {new}" if glued else new


def _scalar_text(value: Scalar, style: str) -> str:
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style == "" and value and _PLAIN_EVERYWHERE.issuperset(value) and value[0] not in "-." and plain_is_same(value):
        return value
    return _UNSAFE.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    return f"\\U{ord(found[0]):08x}"  # JSON would write a pair of surrogates, which YAML has no use for


def _set(documents: Any, edit: Edit) -> None:
    target = documents[edit.document]
    if not edit.path:
        documents[edit.document] = edit.value
        return
    for step in edit.path[:-1]:
        target = target[step]
    target[edit.path[-1]] = edit.value


def _reads_as(text: bytes, wanted: Any) -> bool:
    try:
        return json.dumps(load(text)) == json.dumps(wanted)
    except YamlError:
        return False


def _plain(documents: tuple[Any, ...]) -> Any:
    """A copy in which nothing is shared, so that one edit changes one place."""
    return json.loads(json.dumps(documents))


def _show(path: FieldPath) -> str:
    out = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return out.removeprefix(".") or "the document"
