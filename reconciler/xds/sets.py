"""What a proxy is to have of one type, as a value that is shared: by all proxies that have the same, and all their streams.

Sets of equal versions are one object, and so are the differences between two of them: a fleet of a thousand proxies with one
view costs what one costs. Nothing here is ever changed after it was made.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import attrgetter, is_
from types import MappingProxyType
from weakref import WeakKeyDictionary, WeakValueDictionary

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from reconciler.model.protos import decode
from reconciler.model.resource import Resource, ResourceType, content_hash, set_version
from reconciler.xds.wire import delta_entry, sotw_entry

TYPES = tuple(type_ for type_ in ResourceType if type_ is not ResourceType.RUNTIME)
"""What is sent, in the order in which it is sent: what is referred to first (make before break)."""

_FEW, _PORTIONS = 16, 32
"""From so many names on, what fits into a response is remembered for other streams: so many times for one set."""

_MARK_BITS = 128
"""Of the sum that makes the version of a set of load assignments."""

_NAME, _TYPE, _VERSION = attrgetter("id.name"), attrgetter("id.type"), attrgetter("version")


class Entry:
    """One resource, and its bytes in responses. Encoded when it is first sent."""

    __slots__ = ("__dict__", "__weakref__", "resource")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    @cached_property
    def delta(self) -> bytes:
        """As `wire.delta_entry`."""
        return delta_entry(self.resource)

    @cached_property
    def sotw(self) -> bytes:
        """As `wire.sotw_entry`."""
        return sotw_entry(self.resource)

    @cached_property
    def mark(self) -> int:
        """Its part in the version of a set whose version is a sum."""
        return int(content_hash(self.resource.version.encode()), 16)

    @cached_property
    def endpoints(self) -> str:
        """The name of the load assignment that this cluster waits for before it serves, or "".

        A changed EDS cluster warms until its endpoints are sent once more, changed or not.
        """
        if self.resource.id.type is not ResourceType.CLUSTER:
            return ""
        cluster = decode(self.resource)
        assert isinstance(cluster, Cluster)  # noqa: S101 -- by its type
        if cluster.type != Cluster.EDS:
            return ""
        return str(cluster.eds_cluster_config.service_name or cluster.name)


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns one set into another: names that are new or changed, and names that are gone."""

    put: frozenset[str]
    gone: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class TypeSet:
    """Everything that one proxy is to have of one type.

    Attributes:
        version: `model.resource.set_version` of it: what Envoy shows as the version of a set. Of load assignments, which nobody asks
            for as a set, it is made of `mark`. Equal content has equal versions, in every process.
        entries: By name, sorted.
        mark: Of load assignments, the sum of all their marks; a few that change are a few additions. Of other types 0.
    """

    type: ResourceType
    version: str
    entries: Mapping[str, Entry] = field(repr=False)
    names: frozenset[str] = field(repr=False)
    mark: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class Published:
    """All that one proxy is to have.

    Attributes:
        sets: By type.
        discovered: The load assignments with recipes, as they were given: equal content may come with another recipe.
    """

    sets: Mapping[ResourceType, TypeSet]
    discovered: tuple[Resource, ...] = ()


@dataclass(frozen=True, slots=True)
class Portion:
    """What fits into one response.

    Attributes:
        names: That are dealt with in it; `left` are the others.
        put: What is sent.
        removed: Names of which there is nothing to send: they are gone.
    """

    names: frozenset[str]
    left: frozenset[str]
    put: tuple[Entry, ...]
    removed: frozenset[str]


class Names:
    """Names that a stream asks for, as an object that can be referred to weakly."""

    __slots__ = ("__weakref__", "all")

    def __init__(self, names: frozenset[str]) -> None:
        self.all = names


class Shelf:
    """Makes sets, each once. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: WeakValueDictionary[str, Entry] = WeakValueDictionary()
        self._sets: WeakValueDictionary[tuple[ResourceType, str], TypeSet] = WeakValueDictionary()
        self._contents: WeakValueDictionary[tuple[ResourceType, tuple[str, ...]], TypeSet] = WeakValueDictionary()
        self._names: WeakValueDictionary[frozenset[str], Names] = WeakValueDictionary()
        self._successors: WeakKeyDictionary[TypeSet, WeakValueDictionary[tuple[str, ...], TypeSet]] = (
            WeakKeyDictionary()
        )
        self._differences: WeakKeyDictionary[TypeSet, WeakKeyDictionary[TypeSet, Difference]] = WeakKeyDictionary()
        self._portions: WeakKeyDictionary[TypeSet, dict[tuple[frozenset[str], int], Portion]] = WeakKeyDictionary()
        self.nothing: Mapping[ResourceType, TypeSet] = MappingProxyType({type_: self.of(type_, ()) for type_ in TYPES})
        self._last: tuple[tuple[Resource, ...], Published] = ((), Published(self.nothing))

    def of(self, type_: ResourceType, resources: Iterable[Resource]) -> TypeSet:
        """The set of these resources, which are all of this type."""
        given = tuple(resources)
        content = (type_, tuple(map(_VERSION, given)))
        with self._lock:
            known = self._contents.get(content)
            if known is None:
                known = self._contents[content] = self._made(type_, given)
            return known

    def replaced(self, before: TypeSet, changed: Sequence[Resource]) -> TypeSet:
        """A set of load assignments with other content in a few, which are in it already; costs what these few cost.

        What turns one set into the other is known with it, so no stream has to compare them.
        """
        content = tuple(map(_VERSION, changed))
        with self._lock:
            successors = self._successors.get(before)
            if successors is None:
                successors = self._successors[before] = WeakValueDictionary()
            known = successors.get(content)
            if known is None:
                known = successors[content] = self._exchanged(before, changed)
            return known

    def sets(self, resources: Iterable[Resource]) -> Published:
        """One set for each type that is sent; other types (RUNTIME keys) are not sent and left out."""
        given = tuple(resources)
        last, published = self._last
        if given is last or (len(given) == len(last) and all(map(is_, given, last))):
            return published  # the next proxy of a fleet
        found: dict[ResourceType, list[Resource]] = {type_: [] for type_ in TYPES}
        for type_, items in groupby(given, _TYPE):
            if type_ in found:
                found[type_].extend(items)
        sets = MappingProxyType({type_: self.of(type_, items) for type_, items in found.items()})
        discovered = tuple(item for item in found[ResourceType.ENDPOINTS] if item.recipe is not None)
        published = Published(sets, discovered)
        self._last = given, published
        return published

    def difference(self, before: TypeSet, after: TypeSet) -> Difference:
        """What turns one into the other."""
        with self._lock:
            known = self._differences.get(before)
            if known is None:
                known = self._differences[before] = WeakKeyDictionary()
            found = known.get(after)
            if found is None:
                put = (name for name, entry in after.entries.items() if before.entries.get(name) is not entry)
                found = known[after] = Difference(frozenset(put), before.names - after.names)
            return found

    def portion(self, base: TypeSet, names: frozenset[str], most: int) -> Portion:
        """What of these names a delta response of at most so many bytes begins with; one that is larger alone goes alone."""
        if len(names) < _FEW:
            return _portion(base, names, most)
        with self._lock:
            known = self._portions.get(base)
            if known is None or len(known) > _PORTIONS:
                known = self._portions[base] = {}
            found = known.get((names, most))
            if found is None:
                found = known[names, most] = _portion(base, names, most)
            return found

    def names(self, names: frozenset[str]) -> Names:
        """These names, as an object that equal ones share: streams of equal proxies ask for the same."""
        with self._lock:
            known = self._names.get(names)
            if known is None:
                known = self._names[names] = Names(names)
            return known

    def _made(self, type_: ResourceType, resources: tuple[Resource, ...]) -> TypeSet:
        found = sorted(resources, key=_NAME)
        if type_ is ResourceType.ENDPOINTS:
            entries = {item.id.name: self._entry(item) for item in found}
            return self._summed(entries, frozenset(entries), sum(entry.mark for entry in entries.values()))
        version = set_version(found)
        known = self._sets.get((type_, version))
        if known is None:
            entries = {item.id.name: self._entry(item) for item in found}
            known = self._sets[type_, version] = TypeSet(type_, version, MappingProxyType(entries), frozenset(entries))
        return known

    def _exchanged(self, before: TypeSet, changed: Sequence[Resource]) -> TypeSet:
        # `copy` clones the table as it is; building it anew would cost ten times as much.
        entries, mark = MappingProxyType(before.entries).copy(), before.mark
        put: set[str] = set()
        for item in changed:
            entry, old = self._entry(item), entries[item.id.name]
            if entry is not old:
                put.add(item.id.name)
                mark += entry.mark - old.mark
                entries[item.id.name] = entry
        found = self._summed(entries, before.names, mark)
        known = self._differences.get(before)
        if known is None:
            known = self._differences[before] = WeakKeyDictionary()
        known[found] = Difference(frozenset(put), frozenset())
        return found

    def _summed(self, entries: Mapping[str, Entry], names: frozenset[str], mark: int) -> TypeSet:
        """A set of load assignments, whose version is a sum, so that a few changes are a few additions."""
        type_ = ResourceType.ENDPOINTS
        mark %= 1 << _MARK_BITS
        version = content_hash(type_.encode(), mark.to_bytes(_MARK_BITS // 8, "big"))
        known = self._sets.get((type_, version))
        if known is None:
            known = self._sets[type_, version] = TypeSet(type_, version, MappingProxyType(entries), names, mark)
        return known

    def _entry(self, resource: Resource) -> Entry:
        known = self._entries.get(resource.version)
        if known is None:
            known = self._entries[resource.version] = Entry(resource)
        return known


def _portion(base: TypeSet, names: frozenset[str], most: int) -> Portion:
    put: list[Entry] = []
    sending: set[str] = set()
    size = 0
    for name in sorted(names):
        entry = base.entries.get(name)
        more = len(name) if entry is None else len(entry.delta)
        if sending and size + more > most:
            break
        size += more
        sending.add(name)
        if entry is not None:
            put.append(entry)
    return Portion(frozenset(sending), names - sending, tuple(put), frozenset(sending - base.names))
