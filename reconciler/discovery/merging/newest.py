"""The newest discovered endpoints, put into load assignments: what lets instances reach proxies without a pass.

A pass compiles load assignments with recipes; from then on a change of instances needs only those. Nothing here decides what is
sent to whom. Safe from any thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from reconciler.model.resource import Recipe, Resource
from reconciler.model.services import Endpoint

_LIMIT = 256 * 1024 * 1024
"""Bytes of load assignments that are kept; those that proxies have are held anyway, so this bounds what nobody has any more."""

_BESIDE = 1024
"""Bytes that one takes beside its content, with its recipe: most load assignments are small, and each compiling makes new recipes."""

_GONE = 10_000
"""Hosts that are gone and whose last endpoints are kept, until a pass has taken away what still uses them."""

_FAULTS = 1_000
"""Recipes that failed and are remembered."""


@dataclass(slots=True)
class _Host:
    """The endpoints of a host. Its lock is held while an assignment is made of them, so that each is made once."""

    endpoints: tuple[Endpoint, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class _Made:
    """What a recipe gave for some endpoints. It holds the recipe, so that no other one can be taken for it."""

    recipe: Recipe
    endpoints: tuple[Endpoint, ...]
    resource: Resource


@dataclass(frozen=True, slots=True)
class _Fault:
    """A recipe that failed for some endpoints: it is not asked for these again, nor forgotten, so that no other can be taken for it."""

    recipe: Recipe
    endpoints: tuple[Endpoint, ...]
    error: Exception


class Newest:
    """The newest endpoints by host.

    Args:
        limit: Bytes to remember load assignments in.
    """

    def __init__(self, *, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._present: frozenset[str] = frozenset()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._made: OrderedDict[int, _Made] = OrderedDict()
        self._faults: OrderedDict[int, _Fault] = OrderedDict()
        self._size = 0

    def update(self, endpoints: Mapping[str, tuple[Endpoint, ...]]) -> frozenset[str]:
        """Take these for the newest: of every discovered service.

        A host that is not in there any more stays as it was last: taking a service away is for a pass, with its guards.

        Returns:
            The hosts that have others than before, or are new.
        """
        changed = set()
        with self._lock:
            for host, new in endpoints.items():
                known = self._hosts.get(host)
                if known is None:
                    self._hosts[host] = _Host(new)
                    changed.add(host)
                elif known.endpoints is not new and known.endpoints != new:
                    known.endpoints = new
                    changed.add(host)
            self._retire(endpoints)
        return frozenset(changed)

    def fresh(self, resource: Resource) -> Resource:
        """A resource with the newest endpoints: the same object if it has no recipe, or these already.

        For equal endpoints a recipe is asked once, whoever the resource is for, as long as there is room to remember it. Where it
        fails, which is a bug, the resource stays as it was made last: whoever asks for many must get all the others. `faults` tells.
        """
        recipe = resource.recipe
        if recipe is None:
            return resource
        with self._lock:
            host = self._hosts.get(recipe.host)
        if host is None:
            return resource
        with host.lock:
            endpoints = host.endpoints
            made = (
                self._remembered(recipe, endpoints) or self._make(recipe, endpoints) or self._last(recipe) or resource
            )
        return resource if made.version == resource.version else made

    def faults(self, hosts: Collection[str]) -> Mapping[str, Exception]:
        """Why load assignments of these hosts are not made of the newest endpoints; by host, of each the first."""
        with self._lock:
            found: dict[str, Exception] = {}
            for fault in self._faults.values():
                if fault.recipe.host in hosts:
                    found.setdefault(fault.recipe.host, fault.error)
            return found

    def _remembered(self, recipe: Recipe, endpoints: tuple[Endpoint, ...]) -> Resource | None:
        with self._lock:
            known = self._made.get(id(recipe))
            if known is None or known.endpoints is not endpoints:
                return None
            self._made.move_to_end(id(recipe))
            return known.resource

    def _make(self, recipe: Recipe, endpoints: tuple[Endpoint, ...]) -> Resource | None:
        """What a recipe gives; None if it fails."""
        with self._lock:
            fault = self._faults.get(id(recipe))
        if fault is not None and fault.endpoints is endpoints:
            return None
        try:
            resource = recipe.at(endpoints)
        except Exception as error:  # noqa: BLE001 -- one service's fault must not end the delivery of all others
            with self._lock:
                self._faults[id(recipe)] = _Fault(recipe, endpoints, error)
                while len(self._faults) > _FAULTS:
                    self._faults.popitem(last=False)
            return None
        with self._lock:
            self._faults.pop(id(recipe), None)
            before = self._made.pop(id(recipe), None)
            self._size += _weight(resource) - (_weight(before.resource) if before is not None else 0)
            self._made[id(recipe)] = _Made(recipe, endpoints, resource)
            while self._size > self._limit and len(self._made) > 1:
                _, oldest = self._made.popitem(last=False)
                self._size -= _weight(oldest.resource)
        return resource

    def _last(self, recipe: Recipe) -> Resource | None:
        """What it gave last, for whatever endpoints."""
        with self._lock:
            known = self._made.get(id(recipe))
            return known.resource if known is not None else None

    def _retire(self, present: Mapping[str, object]) -> None:
        """Note who is gone, and forget those who are so for longest."""
        for host in present.keys() & self._gone.keys():
            del self._gone[host]
        if present.keys() != self._present:
            self._gone.update(dict.fromkeys(sorted(self._present - present.keys())))
            self._present = frozenset(present)
        while len(self._gone) > _GONE:
            host, _ = self._gone.popitem(last=False)
            del self._hosts[host]


def _weight(resource: Resource) -> int:
    return len(resource.body) + _BESIDE
