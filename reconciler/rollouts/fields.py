"""Strict reading of plain mappings: every field by its type, every error by the field's name, nothing left over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

E = TypeVar("E", bound=StrEnum)


class Fields:
    """The fields of one mapping, read one by one; `end` complains of those that nobody asked for.

    An object with state, and short-lived: it never leaves the function that reads.
    """

    def __init__(self, plain: Any, path: str = "") -> None:
        if not isinstance(plain, Mapping):
            raise ValueError(f"{path or 'evidence'} is not a mapping")  # noqa: TRY004 -- all reading errors are one kind
        self._plain = plain
        self._path = path
        self._asked: set[str] = set()

    def name(self, field: str) -> str:
        """A field's name with those of the mappings around it."""
        return f"{self._path}.{field}" if self._path else field

    def has(self, field: str) -> bool:
        """Whether it is there."""
        return field in self._plain

    def text(self, field: str, *, needed: bool = False) -> str:
        """A string; "" if it is not there."""
        if needed and not self.has(field):
            raise ValueError(f"{self.name(field)} is missing")
        return str(self._read(field, str, ""))

    def number(self, field: str, *, needed: bool = False) -> int:
        """A count; 0 if it is not there."""
        if needed and not self.has(field):
            raise ValueError(f"{self.name(field)} is missing")
        found: int = self._read(field, int, 0)
        if found < 0:
            raise ValueError(f"{self.name(field)}: {found} is less than 0")
        return found

    def decimal_or_none(self, field: str) -> float | None:
        """A number; None if it is not there."""
        found = self._read(field, (int, float), None)
        return None if found is None else float(found)

    def flag(self, field: str) -> bool:
        """Yes or no; no if it is not there."""
        return bool(self._read(field, bool, default=False))

    def one_of(self, field: str, kind: type[E]) -> E:
        """A member of an enumeration."""
        text = self.text(field, needed=True)
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"{self.name(field)}: {text!r} is none of {', '.join(kind)}") from None

    def time(self, field: str) -> datetime:
        """A time with its zone, as UTC."""
        found = self.time_or_none(field)
        if found is None:
            raise ValueError(f"{self.name(field)} is missing")
        return found

    def time_or_none(self, field: str) -> datetime | None:
        """A time with its zone, as UTC; None if it is not there."""
        self._asked.add(field)
        value = self._plain.get(field)
        if value is None:
            return None
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name(field)}: {value!r} is not a time") from None
        if found.tzinfo is None:
            raise ValueError(f"{self.name(field)}: {value!r} has no time zone")
        return found.astimezone(UTC)

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of strings; empty if it is not there."""
        items = self.items(field)
        if not all(isinstance(item, str) for item in items):
            raise ValueError(f"{self.name(field)} is not a list of strings")
        return tuple(items)

    def items(self, field: str) -> list[Any]:
        """A list; empty if it is not there."""
        return list(self._read(field, (list, tuple), []))

    def mapping(self, field: str) -> Mapping[str, Any]:
        """A mapping as it is; empty if it is not there."""
        found: Mapping[str, Any] = self._read(field, Mapping, {})
        return found

    def child(self, field: str) -> Fields | None:
        """The fields of a mapping inside; None if it is not there."""
        self._asked.add(field)
        return Fields(self._plain[field], self.name(field)) if self.has(field) else None

    def children(self, field: str) -> dict[str, Fields]:
        """The fields of each of the mappings inside a mapping."""
        inside = self.mapping(field)
        return {str(name): Fields(value, f"{self.name(field)}.{name}") for name, value in inside.items()}

    def end(self) -> None:
        """Nothing else may be there."""
        if unknown := sorted(str(name) for name in self._plain if name not in self._asked):
            raise ValueError(f"{self.name(unknown[0])} is not known")

    def _read(self, field: str, kind: Any, default: Any) -> Any:
        self._asked.add(field)
        value = self._plain.get(field, default)
        if value is default:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{self.name(field)}: {value!r} is of the wrong type")
        return value
