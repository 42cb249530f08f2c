"""What kinds of values settings have: how each is read from a flag or a variable, how from a file, and how it is written.

Pure. A value that can't be read is a `ValueError` whose words follow the name of the setting; who asks knows the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.clock import format_duration, parse_duration
from reconciler.settings import Identity

_PERSON = re.compile(r"\s*([^<>\n]+?)\s*<([^<>\s]+)>\s*")
_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of value.

    Attributes:
        words: What it is, for the documentation.
        metavar: What stands for it in `--help`.
        read: From the text of a flag or a variable.
        take: From a value of the settings file.
        write: As the settings file has it.
    """

    words: str
    metavar: str
    read: Callable[[str], Any]
    take: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value


def person(text: str) -> Identity:
    """Read `Name <mail>`, as Git writes it.

    Raises:
        ValueError: It has another form.
    """
    found = _PERSON.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} does not name a person; write 'Name <mail@example.com>'")
    return Identity(name=found[1], email=found[2])


def seconds(text: str) -> float:
    """Read a duration that is longer than nothing.

    Raises:
        ValueError: It is none.
    """
    if text.isascii() and text.isdecimal() and text.strip("0"):
        raise ValueError(f"{text} has no unit; write {text}s for seconds")
    found = parse_duration(text).total_seconds()
    if found <= 0:
        raise ValueError(f"{text} is not longer than nothing")
    return found


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text) or int(text) < 1:
        raise ValueError(f"{text!r} is not a positive whole number")
    return int(text)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{_shown(value)} is not a positive whole number")
    return value


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise ValueError(f"{text!r} is neither true nor false")
    return _SWITCHES[text.lower()]


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is neither true nor false")  # noqa: TRY004 -- of what a person wrote
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is no text{'' if value is None else '; put it in quotes'}")  # noqa: TRY004 -- of what a person wrote
    return value


def _named(value: Any) -> Path:
    if not _text(value):
        raise ValueError("names no file")
    return Path(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{_shown(value)} is no list")  # noqa: TRY004 -- of what a person wrote
    return tuple(_text(item) for item in value)


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split():
        key, equals, value = pair.partition("=")
        if not key or not equals or not value:
            raise ValueError(f"{pair!r} is not KIND=FILE")
        if key in found:
            raise ValueError(f"{key!r} is given twice")
        found[key] = value
    return found


def _mapping(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"{_shown(value)} is no mapping of kinds to files")  # noqa: TRY004 -- of what a person wrote
    return {key: _text(item) for key, item in value.items()}


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _duration(value: Any) -> float:
    return seconds(str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value))


def of_text(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A reader of the file's values that are written as text."""
    return lambda value: read(_text(value))


TEXT = Kind(words="text", metavar="TEXT", read=str, take=_text)
FILE = Kind(words="path", metavar="FILE", read=str, take=_text)
PATH = Kind(
    words="path", metavar="PATH", read=_named, take=_named, write=lambda value: None if value is None else str(value)
)
DURATION = Kind(
    words="duration",
    metavar="DURATION",
    read=seconds,
    take=_duration,
    write=lambda value: format_duration(timedelta(seconds=value)),
)
NUMBER = Kind(words="number", metavar="NUMBER", read=_number, take=_whole)
SWITCH = Kind(words="true or false", metavar="", read=_switch, take=_boolean)
PERSON = Kind(
    words="`Name <mail>`",
    metavar="'NAME <MAIL>'",
    read=person,
    take=of_text(person),
    write=lambda value: None if value is None else f"{value.name} <{value.email}>",
)
LIST = Kind(words="list of texts", metavar="TEXT", read=lambda text: tuple(text.split()), take=_texts, write=list)
FILES = Kind(words="mapping of kinds to paths", metavar="KIND=FILE", read=_pairs, take=_mapping, write=dict)


def choice(words: tuple[str, ...], *, default: str) -> Kind:
    """One of several words, or the default, which may be none of them."""

    def read(text: str) -> str:
        if text not in {*words, default}:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return Kind(
        words=" or ".join(f"`{word}`" for word in words), metavar="|".join(words), read=read, take=of_text(read)
    )


def among(kind: Kind, keys: tuple[str, ...]) -> Kind:
    """A mapping of which the keys are of a few words."""

    def checked(found: Mapping[str, str]) -> Mapping[str, str]:
        for key in found:
            if key not in keys:
                raise ValueError(f"{key!r} is not one of {', '.join(keys)}")
        return found

    return Kind(
        words=f"mapping of {', '.join(f'`{key}`' for key in keys)} to paths",
        metavar=kind.metavar,
        read=lambda text: checked(kind.read(text)),
        take=lambda value: checked(kind.take(value)),
        write=kind.write,
    )
