"""The state-of-the-world variant: sets are sent whole, and what is missing from one is gone; the rest goes with its parent.

For clusters and listeners a response has all that is asked for. For the types that are subscribed to by name it has what changed,
and nothing can be taken away. See Envoy's "xDS REST and gRPC protocol", "Grouping Resources Into Responses".
"""

from __future__ import annotations

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from reconciler.model.resource import ResourceType
from reconciler.model.secrets import parse
from reconciler.xds.sets import Entry, Shelf, TypeSet
from reconciler.xds.subscription import ANY, BY_SET, LARGEST, Subscription, Turn


class SotwSubscription(Subscription):
    """One type on one state-of-the-world stream.

    Attributes:
        had: The version that the peer said it has, until there is something to compare it with.
        last: The nonce of the newest response.
        legacy: Nothing was ever named on this stream: for clusters and listeners that means everything.
        owed: A set has to be sent although nothing in it changed: names were added, or there are none.
    """

    __slots__ = ("had", "last", "legacy", "owed")

    def __init__(self, type_: ResourceType, shelf: Shelf) -> None:
        super().__init__(type_, shelf)
        self.had: str | None = None
        self.legacy = True
        self.owed = False
        self.last = ""

    def receive(self, request: DiscoveryRequest) -> None:
        """Take the part of a request that is about what is asked for."""
        names = frozenset(request.resource_names)
        self.legacy = self.legacy and not names
        wildcard = ANY in names or (self.legacy and self.type in BY_SET)
        named = names - {ANY}
        if not self.seen:
            self.seen, self.had = True, request.version_info
            self.wildcard = wildcard
            self._ask(named)
            self.todo |= self.wanted(self.pulled)
            self.pulled = frozenset()
        elif named != self.names.all or wildcard != self.wildcard:
            added = named - self.names.all
            everything = wildcard and not self.wildcard
            self.wildcard = wildcard
            self._ask(named)
            self.todo = self.wanted(self.todo | added | (self.base.names if everything else frozenset()))
            self.owed = self.owed or (self.type in BY_SET and bool(added or everything))

    def current(self, nonce: str) -> bool:
        """Whether this is the nonce of the newest response; in this variant a request with another one is stale."""
        return not self.seen or nonce == self.last

    def version(self, turn: Turn) -> str:
        """Of a secret of files its own: Envoy shows nothing else that tells of which files it is what it has read."""
        return turn.put[0].resource.version if turn.put and _of_files(turn.put[0]) else super().version(turn)

    def insist(self) -> None:
        """Take it that the peer has nothing and asks for everything, although it has not asked."""
        self.seen, self.had, self.wildcard = True, "", True

    def record(self, nonce: str, turn: Turn) -> None:
        """Remember what went out under a nonce."""
        super().record(nonce, turn)
        self.last = nonce

    def aim(self, target: TypeSet) -> None:
        """Bring the peer to this set. Only a peer that asks for everything of a set can be known to have it."""
        if self.had is None:
            super().aim(target)
            return
        had, self.had, self.base = self.had, None, target
        if self.wildcard and self.type in BY_SET and had == target.version:
            self.text = had
            return
        self.todo |= self.wanted(target.names)
        self.owed = self.type in BY_SET

    @property
    def bare(self) -> bool:
        """Whether it came with nothing."""
        return not self.had

    @property
    def owes(self) -> bool:
        """A set is sent again whenever its version is another one."""
        return self.owed or (self.wildcard and self.type in BY_SET and self.text != self.base.version)

    def turn(self) -> Turn | None:
        """A whole set; or of the others as much as fits into one response."""
        if self.idle:
            return None
        return self._whole() if self.type in BY_SET else self._some()

    def _whole(self) -> Turn:
        names = self.base.names if self.wildcard else self.base.names & self.names.all
        entries = [self.base.entries[name] for name in sorted(names)]
        put = tuple(entry for entry in entries if entry.resource.id.name in self.todo)
        also = tuple(entry for entry in entries if entry.resource.id.name not in self.todo)
        removed = self.todo - self.base.names
        self.todo, self.owed = frozenset(), False
        return Turn(put=put, also=also, removed=removed)

    def _some(self) -> Turn | None:
        names, suspected = self._next_names()
        put: list[Entry] = []
        size = 0
        sending = set(names - self.base.names)  # nobody can be told that these are gone
        for name in sorted(names & self.base.names):
            entry = self.base.entries[name]
            if put and (size + len(entry.sotw) > LARGEST or _of_files(put[0]) or _of_files(entry)):
                break
            put.append(entry)
            size += len(entry.sotw)
            sending.add(name)
        self.todo -= sending
        if suspected and names - sending:
            self.groups.appendleft(names - sending)
        if not put:
            return self.turn()
        return Turn(put=tuple(put))

    def _guess(self, sent_put: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """A set can't be sent in parts, so everything that was new in it is taken as refused."""
        return sent_put if self.type in BY_SET else super()._guess(sent_put)


def _of_files(entry: Entry) -> bool:
    return entry.resource.id.type is ResourceType.SECRET and parse(entry.resource.id.name) is not None
