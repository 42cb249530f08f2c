"""Load assignments that change without being published again: what was published, and what it is by now.

A pass publishes what the compiler made; registries report other endpoints a moment later. Proxies that were published the same share
one `Moving`, so that a change is worked out once for all of them. Knows neither streams nor registries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from weakref import WeakValueDictionary

from reconciler.model.resource import Resource, ResourceType
from reconciler.xds.sets import Shelf, TypeSet

Fresh = Callable[[Resource], Resource]
"""What a resource is for the newest endpoints: itself where it has no recipe, or nothing changed. Never older than what it said before.

It never raises: it is asked for many at once, of which none may be lost for the fault of another."""


def unchanged(resource: Resource) -> Resource:
    """Where nothing is discovered."""
    return resource


class Moving:
    """One set of load assignments of which some have recipes. May be used from several threads.

    Args:
        shelf: Where sets come from.
        fresh: Asked under a lock, so that what it said first never replaces what it said last.
        published: All of them, as they were published.
        items: Those with recipes, as they were published.
    """

    def __init__(self, shelf: Shelf, fresh: Fresh, published: TypeSet, items: Iterable[Resource]) -> None:
        self._shelf = shelf
        self._fresh = fresh
        self._now = published
        self._lock = threading.Lock()
        self._hosts: dict[str, list[Resource]] = {}
        self.items: Mapping[str, Resource] = MappingProxyType({item.id.name: item for item in items})
        for item in self.items.values():
            if item.recipe is not None:
                self._hosts.setdefault(item.recipe.host, []).append(item)

    def newest(self, hosts: Collection[str] | None = None) -> TypeSet:
        """The set with the newest endpoints of these hosts; of all by default."""
        with self._lock:
            now = self._now
            asked = self._hosts.keys() if hosts is None else self._hosts.keys() & hosts
            found = (self._fresh(item) for host in asked for item in self._hosts[host])
            changed = [item for item in found if item.version != now.entries[item.id.name].resource.version]
            if changed:
                self._now = self._shelf.replaced(now, changed)
            return self._now

    def moves(self, hosts: Collection[str]) -> bool:
        """Whether a change of these hosts is one of this set."""
        return not self._hosts.keys().isdisjoint(hosts)


class Mover:
    """Makes them, each once. May be used from several threads."""

    def __init__(self, shelf: Shelf, fresh: Fresh) -> None:
        self._shelf = shelf
        self._fresh = fresh
        self._lock = threading.Lock()
        self._known: WeakValueDictionary[tuple[str, tuple[tuple[str, int], ...]], Moving] = WeakValueDictionary()

    def of(self, sets: Mapping[ResourceType, TypeSet], items: Collection[Resource]) -> Moving | None:
        """What moves in these sets; None if nothing does.

        Args:
            sets: As they were published.
            items: What has a recipe in them. Equal content by another recipe is something else: it moves in another way.
        """
        if not items:
            return None
        published = sets[ResourceType.ENDPOINTS]
        # What is known holds its recipes, so nothing else can have their ids.
        key = published.version, tuple((item.id.name, id(item.recipe)) for item in items)
        with self._lock:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = Moving(self._shelf, self._fresh, published, items)
            return known
