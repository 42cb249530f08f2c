"""What one proxy is to have: what was published for it, as it is by now, less what it refuses.

Knows no streams; not for two threads at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.xds.accepted import Accepted
from reconciler.xds.moving import Mover, Moving
from reconciler.xds.sets import Entry, Names, Shelf, TypeSet
from reconciler.xds.state import Hold


class Want:
    """What one proxy is to have.

    Attributes:
        published: Whether there is anything yet; until then nothing is sent, not even that there is nothing.
        held: Resources whose present version it refused.
        commit: Of what was published last.
    """

    def __init__(self, shelf: Shelf, mover: Mover) -> None:
        self._shelf = shelf
        self._mover = mover
        self._moving: Moving | None = None
        self._given: Mapping[ResourceType, TypeSet] = shelf.nothing
        self._sets: Mapping[ResourceType, TypeSet] = shelf.nothing
        self._effective: Mapping[ResourceType, TypeSet] = shelf.nothing
        self._accepted = {type_: Accepted() for type_ in shelf.nothing}
        self._before: dict[ResourceType, Accepted] = {}
        self.published = False
        self.held: dict[ResourceId, Hold] = {}
        self._later: set[ResourceId] = set()
        self.commit = ""

    def __getitem__(self, type_: ResourceType) -> TypeSet:
        """What is to be sent of this type: with what was last accepted in place of what is held."""
        return self._effective[type_]

    def publish(self, resources: Iterable[Resource], commit: str) -> None:
        """From now on it is to have exactly these, or what has become of them. What is held is tried again in another version."""
        given = self._shelf.sets(resources)
        before, self._moving = self._moving, self._mover.of(given.sets, given.discovered)
        self._given = given.sets
        self.published, self.commit = True, commit
        if self._moving is None:
            self._aim(given.sets)
        else:
            # Another recipe may have been made before endpoints came that the proxy has already by the last one.
            now = self._moving.newest(() if self._moving is before else None)
            self._aim({**given.sets, ResourceType.ENDPOINTS: now})

    def refresh(self, hosts: Collection[str]) -> tuple[Resource, ...]:
        """Endpoints of these hosts may have changed; what it is to have in another version now."""
        if self._moving is None or not self._moving.moves(hosts):
            return ()
        before, now = self._sets[ResourceType.ENDPOINTS], self._moving.newest(hosts)
        if now is before:
            return ()
        self._aim({**self._sets, ResourceType.ENDPOINTS: now})
        return tuple(now.entries[name].resource for name in self._shelf.difference(before, now).put)

    @property
    def resources(self) -> Mapping[ResourceId, Resource]:
        """What was published last, sorted: as it was then."""
        known = (entry.resource for type_ in self._given.values() for entry in type_.entries.values())
        if self._moving is None:
            return {item.id: item for item in known}
        # Of equal content there is one entry, which may have come with another recipe.
        given = self._moving.items
        return {
            item.id: given.get(item.id.name, item) if item.id.type is ResourceType.ENDPOINTS else item for item in known
        }

    def withdraw(self) -> None:
        """Nothing is published for it any more."""
        self._given = self._sets = self._effective = self._shelf.nothing
        self._moving = None
        self.published, self.held, self._later, self.commit = False, {}, set(), ""

    def accept(self, type_: ResourceType, names: Names | None) -> bool:
        """The proxy has everything of this type that it asks for (None: all): what is refused later is held at this.

        Returns:
            Whether something is to be tried again now that there is something to fall back on.
        """
        self._accepted[type_].all(self._effective[type_], names)
        due = [id_ for id_ in self._later if id_.type is type_ and (names is None or id_.name in names.all)]
        self.release(due)
        return bool(due)

    def take(self, type_: ResourceType, entries: Iterable[Entry], removed: Iterable[str]) -> None:
        """The proxy has these, and no longer those, whatever else is under way."""
        self._accepted[type_].some(entries, removed)

    def forget_accepted(self) -> None:
        """The proxy starts afresh: it has nothing, and what it refused may suit it now.

        But first it is sent what the process before it had instead: a whole port would be without routes if it refuses them again.
        """
        self._before |= {type_: known for type_, known in self._accepted.items() if known}
        self._accepted = {type_: Accepted() for type_ in self._accepted}
        self._later = {id_ for id_, hold in self.held.items() if hold.kept is not None}
        self.release([id_ for id_ in self.held if id_ not in self._later])

    def wants(self, resource: Resource) -> bool:
        """Whether this very version is to be had."""
        return self._version(resource.id) == resource.version

    def hold(self, id_: ResourceId, words: str, at: datetime) -> bool:
        """Take the present version of a resource as refused.

        Returns:
            Whether it is held now. What the proxy has accepted before in this very version is not: then the complaint is about
            something else.
        """
        version = self._version(id_)
        kept = self._accepted[id_.type].get(id_.name)
        if not version or (kept is not None and kept.resource.version == version):
            return False
        known = self.held.get(id_)
        if kept is not None:
            instead: Resource | None = kept.resource
        elif known is not None and known.version == version:
            instead = known.kept
        else:
            instead = self._of_before(id_, version)
        self.held[id_] = Hold(version=version, words=words, at=at, kept=instead)
        self._arrange()
        return True

    def has(self, id_: ResourceId) -> bool:
        """Whether the proxy has something of this name by its own word."""
        return self._accepted[id_.type].get(id_.name) is not None

    def give_up(self, resource: Resource) -> bool:
        """What a process before this one took, and this one refuses, is nothing to fall back on; whether it was that."""
        hold = self.held.get(resource.id)
        if hold is None or hold.kept != resource or self.has(resource.id):
            return False
        self.held[resource.id] = replace(hold, kept=None)
        self._later.discard(resource.id)
        self._arrange()
        return True

    def release(self, ids: Iterable[ResourceId]) -> None:
        """These are not refused after all, or are to be tried again."""
        known = [id_ for id_ in ids if id_ in self.held]
        for id_ in known:
            del self.held[id_]
            self._later.discard(id_)
        if known:
            self._arrange()

    def retry(self, types: frozenset[ResourceType]) -> None:
        """Try again what is held of these types, unless that comes later anyway."""
        self.release([id_ for id_ in self.held if id_.type in types and id_ not in self._later])

    def _of_before(self, id_: ResourceId, refused: str) -> Resource | None:
        """What the process before had, if it is another version than what is refused now."""
        known = self._before[id_.type].get(id_.name) if id_.type in self._before else None
        return known.resource if known is not None and known.resource.version != refused else None

    def _version(self, id_: ResourceId) -> str:
        entry = self._sets[id_.type].entries.get(id_.name) if id_.type in self._sets else None
        return entry.resource.version if entry else ""

    def _aim(self, sets: Mapping[ResourceType, TypeSet]) -> None:
        self._sets = sets
        self.held = {id_: hold for id_, hold in self.held.items() if self._version(id_) == hold.version}
        self._later &= self.held.keys()
        self._arrange()

    def _arrange(self) -> None:
        if not self.held:
            self._effective = self._sets
            return
        effective = dict(self._sets)
        for type_ in {id_.type for id_ in self.held}:
            kept = dict(self._sets[type_].entries)
            for id_ in self.held:
                if id_.type is type_:
                    kept.pop(id_.name, None)
            resources = [entry.resource for entry in kept.values()]
            resources += [hold.kept for id_, hold in self.held.items() if id_.type is type_ and hold.kept is not None]
            effective[type_] = self._shelf.of(type_, resources)
        self._effective = MappingProxyType(effective)


def endpoints_of(entries: Iterable[Entry]) -> frozenset[str]:
    """The load assignments that these clusters wait for."""
    return frozenset(entry.endpoints for entry in entries if entry.endpoints)
