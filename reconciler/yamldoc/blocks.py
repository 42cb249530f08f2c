"""Where a key of a mapping is put into a text, taken out of it, or its whole value exchanged: spans of characters, no text yet.

Behind `splice`, which applies the spans and proves the outcome; so a rare style may be got wrong here, and is refused there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import InputError
from reconciler.yamldoc.positions import Node
from reconciler.yamldoc.scalars import Scalar, plain_is_same
from reconciler.yamldoc.stream import BOM, LINE_BREAK

Value = Scalar | Mapping[str, Any]
"""What can be put: a scalar, or a mapping of such values."""

_STEP = 2
_COMMENT = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n))*( +)#[^\r\n]*(?:\r\n|\r|\n|\Z)")
_REST = re.compile(r"[ \t]*")
_UNSAFE = re.compile("[^ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What has to be escaped in double quotes: controls, line breaks of YAML 1.1, the byte order mark, non-characters."""

_PLAIN_EVERYWHERE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")


class SpliceError(InputError):
    """A value can't be changed in place; its file has to be edited by hand."""

    default_code = "splice"


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of a text and what stands there instead.

    Attributes:
        column: Of the key that is put; where two are put at one place, the deeper one comes first.
    """

    start: int
    stop: int
    new: str
    column: int = 0


def put(text: str, parent: Node, key: str, value: Value) -> list[Span]:
    """A key that the mapping does not have, behind its last."""
    if parent.flow:
        return _put_in_brackets(text, parent, key, value)
    column = _column(text, next(iter(parent.children.values())).key)
    at = _behind(text, parent, column)
    return [_lines(text, at, _block(key, value, column), column)]


def exchange(text: str, parent: Node, key: str, value: Mapping[str, Any], what: str) -> list[Span]:
    """Another mapping in the place of one, or of nothing. Comments inside it go with it.

    Raises:
        SpliceError: What is there is shared, or something else.
    """
    node = parent.children[key]
    if node.anchored or not (node.mapping or node.style == ""):
        raise SpliceError(f"{what} is no mapping of its own", hint="write it as one, without anchor or alias")
    if parent.flow or node.flow:
        quoted = text[node.key] == '"'
        return [Span(node.start, node.end, glue(text, node) + _flow(value, quoted=quoted))]
    if not node.mapping:
        column = _column(text, node.key)
        rows = _rows(value, column + _STEP)
        removed = [Span(node.start, node.end, "")] if node.end > node.start else []
        return [*removed, _lines(text, _line_end(text, node.end), rows, column)]
    first = next(iter(node.children.values())).key
    column, start, stop = _column(text, first), _line_start(text, first), _content_line_end(text, node)
    if text[start:first].strip(" "):
        raise SpliceError(f"{what} does not begin on a line of its own", hint="write it as a block")
    end = _break_before(text, stop)
    return [Span(start, stop, _eol(text, start).join(_rows(value, column)) + end)]


def drop(text: str, parent: Node, key: str, what: str) -> list[Span]:
    """A key of a mapping and its value, with its line.

    Raises:
        SpliceError: Other things stand on its line, a comment for instance.
    """
    node = parent.children[key]
    if parent.flow:
        return [_drop_from_brackets(text, parent, node, what)]
    start, stop = _line_start(text, node.key), _content_line_end(text, node)
    end = _content_end(node)
    rest = text[end:stop].strip(" \t\r\n") if node.style not in {"|", ">"} else ""
    if text[start : node.key].strip(" ") or rest or "#" in _comments_inside(text, node):
        raise SpliceError(f"{what} does not stand on lines of its own", hint="remove it, or its comment, by hand")
    if stop == len(text) and not _break_before(text, stop):
        start -= len(_break_before(text, start))
    return [Span(start, stop, "")]


def scalar_text(value: Scalar, style: str) -> str:
    """A scalar as it may stand in any context.

    Args:
        value: The value.
        style: A quote to keep if that is possible, or "".
    """
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style == "" and value and _PLAIN_EVERYWHERE.issuperset(value) and value[0] not in "-." and plain_is_same(value):
        return value
    return _UNSAFE.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    return f"\\U{ord(found[0]):08x}"  # JSON would write a pair of surrogates, which YAML has no use for


def _put_in_brackets(text: str, parent: Node, key: str, value: Value) -> list[Span]:
    """`{a: 1}` becomes `{a: 1, key: value}`; a line of its own where the last key has one; JSON stays JSON."""
    if not parent.children:
        at = parent.end - 1
        return [Span(at, at, _pair(key, value, quoted=False))]
    last = list(parent.children.values())[-1]
    pair = _pair(key, value, quoted=text[last.key] == '"')
    end = _content_end(last)
    start = _line_start(text, last.key)
    if start <= parent.start or text[start : last.key].strip(" \t"):
        return [Span(end, end, f", {pair}")]
    indent = text[start : last.key]
    comma = _REST.match(text, end)
    stop = comma.end() if comma else end
    at = _line_end(text, end)
    if at >= parent.end:  # the bracket closes on this line
        return [Span(end, end, f",{_eol(text, end)}{indent}{pair}")]
    if text[stop : stop + 1] == ",":
        return [Span(at, at, f"{indent}{pair},{_eol(text, end)}")]
    return [Span(end, end, ","), Span(at, at, f"{indent}{pair}{_eol(text, end)}")]


def _drop_from_brackets(text: str, parent: Node, node: Node, what: str) -> Span:
    siblings = list(parent.children.values())
    index = next(number for number, item in enumerate(siblings) if item is node)
    if index:
        start, stop = _content_end(siblings[index - 1]), _content_end(node)
    elif len(siblings) > 1:
        start, stop = node.key, siblings[1].key
    else:
        start, stop = node.key, _content_end(node)
    if "#" in text[start : node.start] + _beside_scalars(text, node) + text[node.end : stop]:
        raise SpliceError(f"{what} has a comment beside it", hint="remove it by hand")
    return Span(start, stop, "")


def _beside_scalars(text: str, node: Node) -> str:
    """What stands in a value that is no scalar of it: there, a `#` is a comment, or in a key that nobody writes."""
    if node.style is not None:
        return ""
    parts: list[str] = []
    at = node.start
    for child in node.children.values():
        parts += [text[at : child.start], _beside_scalars(text, child)]
        at = max(at, child.end)
    return "".join([*parts, text[at : node.end]])


def _behind(text: str, parent: Node, column: int) -> int:
    """After the last line of a block mapping, and after the comments below it that are indented like its keys.

    A comment that is not indented belongs to what follows, the next document for instance.
    """
    at = _content_line_end(text, parent)
    while (found := _COMMENT.match(text, at)) and len(found[1]) >= max(column, 1):
        at = found.end()
    return at


def _content_end(node: Node) -> int:
    """Where a value ends, without the empty lines and comments that the parser counts to a block."""
    if not node.block or not node.children:
        return node.end
    return max(_content_end(child) for child in node.children.values())


def _content_line_end(text: str, node: Node) -> int:
    end = _content_end(node)
    if _last(node).style in {"|", ">"} and _break_before(text, end):
        return end
    return _line_end(text, end)


def _last(node: Node) -> Node:
    while node.block and node.children:
        node = list(node.children.values())[-1]
    return node


def _comments_inside(text: str, node: Node) -> str:
    """What stands between the values of a block; a `#` in it is a comment."""
    if not node.block:
        return ""
    return text[node.key : _content_end(node)]


def _lines(text: str, at: int, rows: list[str], column: int) -> Span:
    """Whole lines at the beginning of a line, or at the end of a text whose last line has no end."""
    eol = _eol(text, at)
    if at and not _break_before(text, at) and text[at - 1] != BOM:
        return Span(at, at, "".join(eol + row for row in rows), column)
    return Span(at, at, "".join(row + eol for row in rows), column)


def _block(key: str, value: Value, column: int) -> list[str]:
    name = scalar_text(key, "")
    if isinstance(value, Mapping):
        return [" " * column + f"{name}:", *_rows(value, column + _STEP)] if value else [" " * column + f"{name}: {{}}"]
    return [" " * column + f"{name}: {scalar_text(value, '')}"]


def _rows(value: Mapping[str, Any], column: int) -> list[str]:
    return [row for key, item in value.items() for row in _block(key, item, column)]


def _pair(key: str, value: Value, *, quoted: bool) -> str:
    return f"{scalar_text(key, _quote(quoted=quoted))}: {_flow(value, quoted=quoted)}"


def _flow(value: Value, *, quoted: bool) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(_pair(key, item, quoted=quoted) for key, item in value.items()) + "}"
    return scalar_text(value, _quote(quoted=quoted))


def _quote(*, quoted: bool) -> str:
    return '"' if quoted else ""


def glue(text: str, node: Node) -> str:
    """The space that a value needs where there was none."""
    return " " if node.start == node.end and node.start > 0 and text[node.start - 1] not in " \t\n\r" else ""


def _line_start(text: str, at: int) -> int:
    start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    return start or (len(BOM) if text.startswith(BOM) else 0)


def _line_end(text: str, at: int) -> int:
    found = LINE_BREAK.search(text, at)
    return found.end() if found else len(text)


def _column(text: str, at: int) -> int:
    return at - _line_start(text, at)


def _break_before(text: str, at: int) -> str:
    """The line break that ends just there, or ""."""
    if text[max(at - 2, 0) : at] == "\r\n":
        return "\r\n"
    return text[at - 1 : at] if at and text[at - 1] in "\r\n" else ""


def _eol(text: str, at: int) -> str:
    """The line break in use: the nearest before, else the first after."""
    before = _break_before(text, _line_start(text, at)) if at else ""
    found = LINE_BREAK.search(text)
    return before or (found[0] if found else "\n")
