"""The documents of a text by their bytes: to show one as it was written, exchange it, take it out or add another.

Every other byte stays, comments before, between and behind documents too. As with a splice, the new text is read again, and anything
but exactly the wanted change is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.yamldoc.blocks import SpliceError
from reconciler.yamldoc.loading import load, read
from reconciler.yamldoc.positions import Node, nodes
from reconciler.yamldoc.stream import BOM, Broken, YamlError, decode

_BOUNDARY = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_END_OF_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_HINT = "edit the file by hand; begin each document with a line of its own that is `---`"


@dataclass(frozen=True, slots=True)
class Part:
    """One document in its text: whole lines, from the first that has something of it to the last, the comments between them included.

    Attributes:
        text: As it was written, with its last line end if it has one.
        start: Byte at which it begins.
        end: Byte behind it.
        line: From 1.
        boundary: Byte at which its own line `---` begins; its start if it has none.
    """

    text: bytes
    start: int
    end: int
    line: int
    boundary: int


def parts(text: bytes) -> tuple[Part | None, ...]:
    """Each document of a text, by index as `read` has them; None for one that is empty, can't be read or shares a line with another.

    Raises:
        YamlError: It is no text.
    """
    decoded = decode(text, "")
    found: list[Part | None] = []
    done = len(BOM) if decoded.startswith(BOM) else 0
    for root in nodes(decoded):
        span = _span(decoded, root, done) if root is not None else None
        if span is None:
            found.append(None)
            continue
        found.append(_part(decoded, span, done))
        done = span[1]
    return tuple(found)


def exchange(text: bytes, index: int, document: bytes) -> bytes:
    """The text with another document in one's place.

    Args:
        text: Of any number of documents.
        index: Which one goes.
        document: A text of exactly one document; what it has around that comes too, but not a line `---` or a byte order mark.

    Raises:
        SpliceError: The document has no lines of its own, or the outcome would not read as intended.
        YamlError: One of the texts can't be read.
    """
    part, new = _own(text, index), _alone(document)
    wanted = list(load(text))
    wanted[index] = load(document)[0]
    ending = b"\r\n" if b"\r\n" in text else b"\n"
    return _proved(text[: part.start] + _lines(new, ending) + text[part.end :], wanted)


def without(text: bytes, index: int) -> bytes | None:
    """The text without one document, its line `---` and the comments between the two; None if no other document is left.

    Raises:
        SpliceError, YamlError: As for `exchange`.
    """
    part = _own(text, index)
    wanted = [value for number, value in enumerate(load(text)) if number != index and value is not None]
    if not wanted:
        return None
    return _proved(text[: part.boundary] + text[part.end :], wanted)


def joined(text: bytes, document: bytes) -> bytes:
    """The text with one more document behind its last.

    Raises:
        SpliceError, YamlError: As for `exchange`.
    """
    new = _alone(document)
    ending = b"\r\n" if b"\r\n" in text else b"\n"
    head = text if not text or text.endswith((b"\n", b"\r")) else text + ending
    wanted = [*load(text), load(document)[0]]
    return _proved(head + (b"---" + ending if head else b"") + _lines(new, ending), wanted)


def _own(text: bytes, index: int) -> Part:
    load(text)  # what can't be read is not written to
    found = parts(text)
    part = found[index] if 0 <= index < len(found) else None
    if part is None:
        raise SpliceError("the document has no lines of its own", hint=_HINT)
    return part


def _alone(document: bytes) -> str:
    """The text of one document without its line `---`.

    Raises:
        SpliceError: It has none or several, or what is before its line `---` is more than comments.
        YamlError: It can't be read.
    """
    if len(load(document)) != 1:
        raise SpliceError("this is not one document", hint="send exactly one")
    decoded = decode(document, "").removeprefix(BOM)
    boundary = _BOUNDARY.search(decoded)
    if boundary is None:
        return decoded
    before, after = decoded[: boundary.start()], decoded[boundary.end() :]
    rest = after.lstrip(" \t")
    if any(line.strip() and not line.lstrip().startswith("#") for line in before.splitlines()) or (
        rest and rest[0] not in "\r\n#"
    ):
        raise SpliceError("the document begins on the line of its `---`", hint="begin it on a line of its own")
    return before + (rest if rest.startswith("#") else rest.lstrip("\r\n"))


def _lines(text: str, ending: bytes) -> bytes:
    """Whole lines, ended as those of the text that they come into."""
    whole = text if text.endswith("\n") else f"{text}\n"
    return whole.encode().replace(b"\r\n", b"\n").replace(b"\n", ending)


def _proved(changed: bytes, wanted: Sequence[Any]) -> bytes:
    try:
        found = [value for value in load(changed) if value is not None]
    except YamlError:
        found = []
    if json.dumps(found) != json.dumps([value for value in wanted if value is not None]):
        raise SpliceError("changing this document in place would change something else too", hint=_HINT)
    return changed


def _span(text: str, root: Node, done: int) -> tuple[int, int] | None:
    """Whole lines that have something of the document, and nothing of what comes before and behind."""
    start = max(text.rfind("\n", 0, root.start), text.rfind("\r", 0, root.start), done - 1) + 1
    if text[start : root.start].strip():
        return None
    last = _last(root)
    if last > root.start and text[last - 1] in "\r\n":  # a block scalar ends behind its last line
        return start, last
    found = _END_OF_LINE.match(text, last)
    end = found.end() if found else last
    trailing = text[last:end].strip()
    return None if trailing and not trailing.startswith("#") else (start, end)


def _last(node: Node) -> int:
    """The end of what stands last in a node; a block of lines says that it ends where the next thing begins."""
    if node.block and node.children:
        return max(_last(child) for child in node.children.values())
    return node.end


def _part(text: str, span: tuple[int, int], done: int) -> Part:
    start, end = span
    boundary = next((found.start() for found in reversed(list(_BOUNDARY.finditer(text, done, start)))), start)
    own = text[start:end].encode()
    before = len(text[:start].encode())
    return Part(
        text=own,
        start=before,
        end=before + len(own),
        line=text.count("\n", 0, start) + 1,
        boundary=len(text[:boundary].encode()),
    )


def one(text: bytes) -> Any:
    """The value of a text of exactly one document.

    Raises:
        YamlError: It can't be read, or has none or several.
    """
    found = [item for item in read(text) if item is not None]
    broken = [item.diagnostic for item in found if isinstance(item, Broken)]
    if broken:
        raise YamlError(diagnostics=broken)
    if len(found) != 1:
        message = f"there are {len(found)} documents, and exactly one is taken"
        raise YamlError(diagnostics=[Diagnostic(code="yaml-syntax", message=message, hint="send one document")])
    return found[0]
