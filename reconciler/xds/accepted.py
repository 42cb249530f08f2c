"""What one proxy has accepted of one type, without a copy for each proxy. Not for two threads at once."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.xds.sets import Entry, Names, TypeSet


class Accepted:
    """What one proxy has accepted of one type.

    Sets and names are shared by all proxies that are alike. Single resources are only kept until everything that the proxy
    asks for is answered, which is when they are part of such a set.
    """

    __slots__ = ("_lately", "_sets")

    def __init__(self) -> None:
        self._sets: dict[Names | None, TypeSet] = {}
        self._lately: dict[str, Entry | None] = {}

    def __bool__(self) -> bool:
        return bool(self._sets or self._lately)

    def get(self, name: str) -> Entry | None:
        """What the proxy has by this name; None if that is not known, or nothing."""
        if name in self._lately:
            return self._lately[name]
        found = (
            known.entries[name] for names, known in self._sets.items() if _covers(names, name) and name in known.names
        )
        return next(found, None)

    def some(self, entries: Iterable[Entry], removed: Iterable[str]) -> None:
        """It has these, and no longer those."""
        self._lately |= dict.fromkeys(removed)
        self._lately |= {entry.resource.id.name: entry for entry in entries}

    def all(self, known: TypeSet, names: Names | None) -> None:
        """It has of this set what these names say; everything, if there are none."""
        if names is None:
            self._sets, self._lately = {None: known}, {}
            return
        if self._sets.get(names) is known and not self._lately:
            return
        others = {other: known for other, known in self._sets.items() if other is None or not other.all <= names.all}
        self._sets = {names: known, **others}  # the first that covers a name counts: the newest
        if self._lately:
            self._lately = {name: entry for name, entry in self._lately.items() if name not in names.all}


def _covers(names: Names | None, name: str) -> bool:
    return names is None or name in names.all
