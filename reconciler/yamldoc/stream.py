"""YAML text as parser events with exact places: the only module that touches ruamel.yaml's C parser.

First step of reading. It decodes bytes, refuses what is not text, and says where each event begins and ends. It builds no
values (`loading`) and no positions of values (`positions`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # made for ruamel's own loaders, and 6 times faster
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import DocumentStartEvent, StreamEndEvent, StreamStartEvent

from reconciler.errors import Diagnostic, InputError

T = TypeVar("T")

BOM = "\ufeff"

_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What may not stand unescaped in YAML (1.2.2, section 5.1)."""

LINE_BREAK = re.compile("\r\n|\r|\n")
_BOUNDARY = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_BOUNDARY_BYTES = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)

_HINTS = {
    "found character that cannot start any token": "quote the value if it begins with @, ` or %; indent with spaces, not tabs",
    "mapping values are not allowed in this context": "check the indentation of this line; quote a value that contains ': '",
    "did not find expected '-' indicator": "check the indentation: a list and a mapping can't stand side by side",
    "did not find expected key": "check the indentation of this line and the line before",
    "did not find expected <document start>": "separate documents with a line `---`",
    "found unexpected end of stream": "a quote or bracket is not closed",
    "found unexpected document indicator": "a quote or bracket is not closed before this line",
    "found undefined tag handle": "remove the tag; plain values need none",
}


class YamlError(InputError):
    """A text is not YAML that this product reads; each diagnostic has the file, line and column."""

    default_code = "yaml-syntax"


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands for a document that could not be read."""

    diagnostic: Diagnostic


class RefusedNode(Exception):  # noqa: N818 -- a signal between the builders and `documents`, never seen outside this room
    """What a builder raises to refuse a document at one place."""

    def __init__(self, code: str, message: str, hint: str, at: int, *, resume: int = 0) -> None:
        super().__init__(message)
        self.code, self.hint, self.at, self.resume = code, hint, at, resume


def decode(text: bytes, file: str) -> str:
    """The text of a file, its byte order mark included.

    Raises:
        YamlError: Invalid UTF-8 (`yaml-encoding`), or a NUL or control character (`yaml-control-character`).
    """
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8")
        message = f"byte 0x{text[error.start]:02x} is not valid UTF-8 ({error.reason})"
        raise _at(before, len(before), file, "yaml-encoding", message, "save the file as UTF-8") from None
    start = len(BOM) if decoded.startswith(BOM) else 0
    bad = _NOT_TEXT.search(decoded, start)
    if bad is not None:
        message = f"character U+{ord(bad[0]):04X} may not stand in YAML text"
        hint = 'remove it, or write it as an escape inside double quotes ("\\u0007")'
        raise _at(decoded, bad.start(), file, "yaml-control-character", message, hint)
    return decoded


def pieces(text: bytes) -> list[bytes]:
    """A text cut before each line that begins with `---`: that ends a document in any context (YAML 1.2.2, section 9.1.2).

    Documents may end in other places too, so a piece may have several, or, before the first such line, none.
    """
    cuts = [0, *(found.start() for found in _BOUNDARY_BYTES.finditer(text) if found.start()), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


class Lines:
    """Where the lines of a text begin, found once, so that many places in it cost no more than the text."""

    def __init__(self, text: str) -> None:
        self._starts = [len(BOM) if text.startswith(BOM) else 0]
        self._starts.extend(found.end() for found in LINE_BREAK.finditer(text))

    def place(self, index: int) -> tuple[int, int]:
        """Line and column, from 1, of a character, as editors count them; the byte order mark is no column."""
        line = max(bisect_right(self._starts, index), 1)
        return line, max(index - self._starts[line - 1], 0) + 1


def place(text: str, index: int) -> tuple[int, int]:
    """As `Lines.place`, for one place of a text."""
    return Lines(text).place(index)


class Events:
    """The events of one stretch of a text. Marks of events count characters from where the stretch begins (`base`).

    The C parser is a libyaml of 2016 that takes no colon inside an unquoted value in brackets (`{admin: http://host}`), which
    YAML 1.2 and Kubernetes allow; ruamel's own parser reads it, 20 times slower. So the C parser goes first.
    """

    def __init__(self, text: str, base: int, *, thorough: bool) -> None:
        self._c_parser: Any = None
        self.base = base
        self.begun = 0
        """Where the document that is being read begins, counted like the marks."""
        self.next: Callable[[], Any]
        if thorough:
            self.next = YAML(typ="safe", pure=True).parse(text[base:]).__next__
        else:
            self._c_parser = CParser(text[base:])
            self.next = self._c_parser.get_event

    def close(self) -> None:
        """Free the C parser."""
        if self._c_parser is not None:
            self._c_parser.dispose()


def documents(text: str, file: str, build: Callable[[Events], T]) -> Iterator[T | Broken]:
    """What `build` makes of the events of each document's root node.

    A document that can't be read becomes `Broken`, and reading goes on at the next line that begins with `---`, which ends
    a document in any context (YAML 1.2.2, section 9.1.2): so one mistake does not hide the others in a file.
    """
    base: int | None = len(BOM) if text.startswith(BOM) else 0
    thorough = False
    while base is not None:
        events = Events(text, base, thorough=thorough)
        try:
            yield from _stretch(events, build)
        except RefusedNode as refused:
            at, code, message, hint = base + refused.at, refused.code, str(refused), refused.hint
            resume = base + max(refused.at, refused.resume)
        except YAMLError as error:
            if not thorough and _may_be_colon(error):
                base, thorough = base + events.begun, True
                continue
            at = resume = base + _index(error)
            code, (message, hint) = "yaml-syntax", _words(error)
        else:
            return
        finally:
            events.close()
        yield Broken(_at(text, at, file, code, message, hint).diagnostics[0])
        boundary = _BOUNDARY.search(text, max(resume, base + 1))
        base, thorough = (boundary.start() if boundary else None), False


def _stretch(events: Events, build: Callable[[Events], T]) -> Iterator[T]:
    while True:
        event = events.next()
        if isinstance(event, StreamStartEvent):
            continue
        if event is None or isinstance(event, StreamEndEvent):
            return
        if isinstance(event, DocumentStartEvent) and (event.tags or event.version not in {None, (1, 2)}):
            message, end = "directives other than %YAML 1.2 are not supported", event.end_mark.index
            raise RefusedNode("yaml-directive", message, "remove it", event.start_mark.index, resume=end)
        value = build(events)
        events.begun = events.next().end_mark.index  # the document's end
        yield value


def _may_be_colon(error: YAMLError) -> bool:
    """Whether the C parser may have stumbled over a value in brackets that YAML 1.2 allows."""
    problem = (error.problem if isinstance(error, MarkedYAMLError) else None) or ""
    return problem.startswith(
        ("found unexpected ':'", "did not find expected ',' or", "did not find expected node content")
    )


def _index(error: YAMLError) -> int:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return mark.index if mark is not None else 0


def _words(error: YAMLError) -> tuple[str, str]:
    """Message and hint for an error of the parser."""
    problem = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error).splitlines()[0]
    context = error.context if isinstance(error, MarkedYAMLError) else None
    hint = _HINTS.get(problem, "")
    if not hint and problem.startswith("did not find expected ',' or"):
        hint = "a bracket is not closed, or a comma is missing"
    return (f"{problem} {context}" if context else problem), hint


def _at(text: str, index: int, file: str, code: str, message: str, hint: str) -> YamlError:
    line, column = place(text, index)
    found = Diagnostic(code=code, message=message, hint=hint, file=file or None, line=line, column=column)
    return YamlError(diagnostics=[found])
