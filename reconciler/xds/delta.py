"""The incremental variant: only what differs is sent, what goes is named, and a peer that comes back says what it has.

What each kind of request means is in Envoy's "xDS REST and gRPC protocol", sections "How the client specifies what resources to
return" and "Incremental xDS".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from reconciler.model.resource import ResourceType
from reconciler.xds.sets import Shelf, TypeSet
from reconciler.xds.subscription import ANY, BY_SET, LARGEST, Subscription, Turn


class DeltaSubscription(Subscription):
    """One type on one incremental stream.

    Attributes:
        greets: The next response is sent even if it is empty: a peer that has nothing waits for one before it starts.
        had: What the peer said it has, until there is something to compare it with.
    """

    __slots__ = ("greets", "had")

    def __init__(self, type_: ResourceType, shelf: Shelf) -> None:
        super().__init__(type_, shelf)
        self.greets = False
        self.had: Mapping[str, str] | None = None

    def receive(self, request: DeltaDiscoveryRequest) -> None:
        """Take the part of a request that is about what is asked for."""
        added, taken = frozenset(request.resource_names_subscribe), frozenset(request.resource_names_unsubscribe)
        if not self.seen:
            self._begin(added, dict(request.initial_resource_versions))
        elif added or taken:
            self._change(added, taken)

    def aim(self, target: TypeSet) -> None:
        """Bring the peer to this set; at first, from what it says it has. What it has in the right version is not sent."""
        if self.had is None:
            super().aim(target)
            return
        had, self.had, self.base = self.had, None, target
        versions = {name: entry.resource.version for name, entry in target.entries.items() if name in had}
        wrong = frozenset(name for name, version in had.items() if versions.get(name) != version)
        lacking = (target.names if self.wildcard else self.names.all) - had.keys()
        self.todo |= self.wanted(wrong) | lacking

    def insist(self) -> None:
        """Take it that the peer has nothing and asks for everything, although it has not asked."""
        self._begin(frozenset({ANY}), {})

    def _begin(self, added: frozenset[str], had: Mapping[str, str]) -> None:
        """The first request: without any name, clusters and listeners are asked for all together."""
        self.seen = True
        self.wildcard = ANY in added or (not added and self.type in BY_SET)
        self._ask(added - {ANY})
        self.greets = self.wildcard and not had
        self.had = had
        self.todo |= self.wanted(self.pulled)
        self.pulled = frozenset()

    def _change(self, added: frozenset[str], taken: frozenset[str]) -> None:
        """Names come and go. What is asked for (again) is sent, whatever the peer is thought to have.

        Who asks for everything and lets go of a name is told what that name is: it may have dropped it.
        """
        if ANY in added:
            self.todo |= self.base.names
            self.greets = True
        self.wildcard = (self.wildcard or ANY in added) and ANY not in taken
        self._ask((self.names.all | added) - taken - {ANY})
        self.todo = self.wanted(self.todo | added - {ANY} | (taken - {ANY} if self.wildcard else frozenset()))
        self.groups = deque(group for group in map(self.wanted, self.groups) if group)

    @property
    def bare(self) -> bool:
        """Whether it came with nothing."""
        return not self.had

    @property
    def owes(self) -> bool:
        """Envoy takes an empty response as news of the version of a set; of single resources it would be no news."""
        return self.greets or (self.wildcard and self.type in BY_SET and self.text != self.base.version)

    def turn(self) -> Turn | None:
        """As much as fits into one response."""
        if self.idle:
            return None
        names, suspected = self._next_names()
        portion = self.shelf.portion(self.base, names, LARGEST)
        self.todo = portion.left if self.todo == names else self.todo - portion.names
        if suspected and portion.left:
            self.groups.appendleft(portion.left)
        self.greets = False
        return Turn(put=portion.put, removed=portion.removed)
