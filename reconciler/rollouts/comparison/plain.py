"""Strict reading of the plain form: every field there, of its type, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, TypeVar

_V = TypeVar("_V")
_W = TypeVar("_W", bound=str)


class Fields:
    """The fields of one mapping, taken one by one.

    Args:
        plain: What was read.
        where: Its place, for messages.

    Raises:
        ValueError: By every method: a field is missing or of another type; the message begins with its place.
    """

    def __init__(self, plain: Any, where: str) -> None:
        if not isinstance(plain, Mapping):
            raise ValueError(f"{where}: not a mapping")  # noqa: TRY004  # one error for what was written wrong
        self._left = dict(plain)
        self._where = where

    def take(self, name: str) -> Any:
        """Whatever it is."""
        if name not in self._left:
            raise ValueError(f"{self._where}.{name}: missing")
        return self._left.pop(name)

    def number(self, name: str) -> float:
        """A finite number."""
        return self._number(self.take(name), name)

    def count(self, name: str) -> int:
        """An integer from 0."""
        return self._count(self.take(name), name)

    def maybe(self, name: str, how: Callable[[str], _V]) -> _V | None:
        """None, or what `how` reads."""
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return how(name)

    def one_of(self, name: str, words: tuple[_W, ...]) -> _W:
        """One of some words."""
        value = self.take(name)
        for word in words:
            if value == word:
                return word
        raise ValueError(f"{self._where}.{name}: {value!r} is none of {', '.join(words)}")

    def numbers(self, name: str, many: int, *, none: bool = False) -> tuple[float, ...]:
        """So many numbers; with `none` there may be none at all."""
        return tuple(self._number(item, name) for item in self._list(name, many, none=none))

    def counts(self, name: str, many: int) -> tuple[int, ...]:
        """So many counts."""
        return tuple(self._count(item, name) for item in self._list(name, many))

    def items(self, name: str) -> Iterator[tuple[Any, str]]:
        """Each item of a list, with its place."""
        value = self.take(name)
        if not isinstance(value, list):
            raise ValueError(f"{self._where}.{name}: not a list")  # noqa: TRY004  # as above
        for index, item in enumerate(value):
            yield item, f"{self._where}.{name}[{index}]"

    def done(self, value: _V) -> _V:
        """The value that was read, after which nothing may be left."""
        if self._left:
            raise ValueError(f"{self._where}.{min(self._left, key=str)}: unknown")
        return value

    def _list(self, name: str, many: int, *, none: bool = False) -> list[Any]:
        value = self.take(name)
        if not isinstance(value, list) or (len(value) != many and not (none and not value)):
            raise ValueError(f"{self._where}.{name}: not a list of {many}")
        return value

    def _number(self, value: Any, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"{self._where}.{name}: {value!r} is no number")
        return value

    def _count(self, value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{self._where}.{name}: {value!r} is no count")
        return value
