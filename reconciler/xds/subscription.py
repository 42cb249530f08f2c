"""One type on one stream: what was asked for, what was sent, what was said to it. Both variants of the protocol share this.

The book-keeping is small on purpose, because a fleet has thousands of these: `base` is the shared set that the peer is being
brought to, and `todo` the names in which it may still differ from that. What has been sent and not been answered is `sent`, by
nonce. There is no waiting for an ACK before the next response: Envoy withholds the ACK of clusters while one of them warms, and
a response may be what ends that. A peer that does not read is not sent anything more by the transport, and is then behind by
one difference, however much was published in between.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from reconciler.model.resource import ResourceId, ResourceType
from reconciler.xds.blame import mentioned
from reconciler.xds.sets import Entry, Names, Shelf, TypeSet

BY_SET = frozenset({ResourceType.CLUSTER, ResourceType.LISTENER})
"""Types that can be asked for without naming any (wildcard)."""

ANY = "*"
LARGEST = 512 * 1024
"""Bytes of resources in one response; what is more goes into the next. Peers with gRPC's own limits take 4 MB."""

MOST_NAMES = 100_000
"""Names that a peer may ask for, of one type."""

_REMEMBERED = 64
"""Unanswered responses of one type; of a peer that never answers, older ones are forgotten."""


class RequestError(ValueError):
    """A request that no client of the protocol sends."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One response that was not answered yet.

    Attributes:
        put: What was in it, by name.
        text: Its version text.
        removed: Names that it took away.
    """

    put: tuple[Entry, ...]
    text: str
    removed: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Of what was in it."""
        return frozenset(entry.resource.id.name for entry in self.put)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a NACK comes to.

    Attributes:
        entries: What is refused. Empty if that is not known yet: then it is being found out with further responses.
    """

    entries: tuple[Entry, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One response, before it is bytes.

    Attributes:
        put: What is new to the peer, or sent once more.
        also: What has to be in it too, since a set is sent whole.
        removed: Names that go.
    """

    put: tuple[Entry, ...] = ()
    also: tuple[Entry, ...] = ()
    removed: frozenset[str] = frozenset()


class Subscription(ABC):
    """One type on one stream."""

    __slots__ = (
        "acked", "base", "blamed", "groups", "named", "names", "pulled", "seen", "sent", "shelf", "text", "todo", "type", "wildcard", "words",
    )  # fmt: skip

    def __init__(self, type_: ResourceType, shelf: Shelf) -> None:
        self.type = type_
        self.shelf = shelf
        self.wildcard = False
        self.names: Names = shelf.names(frozenset())
        self.base: TypeSet = shelf.nothing[type_]
        self.todo: frozenset[str] = frozenset()
        self.pulled: frozenset[str] = frozenset()
        self.seen = False
        self.groups: deque[frozenset[str]] = deque()
        self.sent: OrderedDict[str, Sent] = OrderedDict()
        self.text = ""
        self.acked = ""
        self.words = ""
        self.blamed: frozenset[str] = frozenset()
        self.named = False

    def aim(self, target: TypeSet) -> None:
        """Bring the peer to this set from now on."""
        if target is not self.base:
            change = self.shelf.difference(self.base, target)
            self.base = target
            self.todo |= self.wanted(change.put | change.gone)
            self.groups = deque(group & target.names for group in self.groups if group & target.names)

    def demand(self, names: frozenset[str]) -> None:
        """Send these once more, if the peer asks for them, now or later with its first request for this type."""
        if not self.seen:
            self.pulled |= names
        self.todo |= self.wanted(names)

    def wanted(self, names: frozenset[str]) -> frozenset[str]:
        """Those of these names that the peer asks for."""
        return names if self.wildcard else names & self.names.all

    def asks(self, name: str) -> bool:
        """Whether the peer asks for this one."""
        return self.seen and (self.wildcard or name in self.names.all)

    @abstractmethod
    def receive(self, request: Any) -> None:
        """Take the part of a request that is about what is asked for.

        Raises:
            RequestError: It asks for too much.
        """

    @property
    @abstractmethod
    def bare(self) -> bool:
        """Whether the peer has said that it has nothing, and that has not been compared with anything yet."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send."""
        return not self.todo and not self.groups and not self.owes

    @property
    def waiting(self) -> bool:
        """Whether something was sent and not answered."""
        return bool(self.sent)

    @property
    @abstractmethod
    def owes(self) -> bool:
        """Whether a response is due although no resource is."""

    @abstractmethod
    def turn(self) -> Turn | None:
        """What to send next; None if there is nothing. What is returned counts as sent."""

    def version(self, turn: Turn) -> str:  # noqa: ARG002 -- for others to look at
        """The version text of a response: that of the set."""
        return self.base.version

    @abstractmethod
    def insist(self) -> None:
        """Take it that the peer has nothing and asks for everything, although it has not asked."""

    def record(self, nonce: str, turn: Turn) -> None:
        """Remember what went out under a nonce."""
        self.text = self.version(turn)
        self.sent[nonce] = Sent(turn.put, self.text, turn.removed)
        while len(self.sent) > _REMEMBERED:
            self.sent.popitem(last=False)

    def answer(self, nonce: str, words: str, *, has: str = "") -> Sent | Refusal | None:
        """Take an ACK, or a NACK with its words, for what it answers: what the peer has taken, or what it refuses.

        Of a nonce that is not known, nothing is concluded. An answer stands for older responses too: a peer answers in order.

        Args:
            nonce: Of the response that is answered.
            words: Of a NACK.
            has: The version that the peer says it has now, in the variant that has such a thing.
        """
        sent = self.sent.get(nonce)
        if sent is None:
            return None
        while self.sent and self.sent.popitem(last=False)[0] != nonce:
            pass
        # Who says that it has now what it was sent has taken it, whatever it complains of: Envoy repeats an error once more
        # after its cause was taken away.
        if words and not (has and has == sent.text != self.acked):
            refusal = self._refused(sent, words)
            if refusal is not None:
                return refusal
        self.acked = sent.text
        self.blamed -= {entry.resource.version for entry in sent.put}
        return sent

    def _refused(self, sent: Sent, words: str) -> Refusal | None:
        """Whom the words are about: those that they name; the only one there was; or else find out, half by half.

        The same words again are about what they were about before. If they named that, and it was not sent, they are about nothing.
        """
        found = mentioned(words, sent.put)
        if found:
            self._blame(found, words, named=True)
        else:
            again = words == self.words
            known = tuple(entry for entry in sent.put if again and entry.resource.version in self.blamed)
            if not sent.put or (again and self.named and not known):
                return None
            self._blame(known or sent.put, words, named=again and self.named)
            found = self._guess(known or sent.put)
        # What came with something bad may not have been taken; nor what was to go with it.
        self.todo |= self.wanted(sent.names - {entry.resource.id.name for entry in found})
        self.todo |= self.wanted(sent.removed)
        return Refusal(found, words)

    def _blame(self, entries: tuple[Entry, ...], words: str, *, named: bool) -> None:
        versions = frozenset(entry.resource.version for entry in entries)
        self.blamed = self.blamed | versions if words == self.words else versions
        self.words, self.named = words, named

    def _guess(self, put: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Whom a NACK without names is about, if there is only one; else smaller responses will tell."""
        if len(put) <= 1:
            return put
        names = sorted(entry.resource.id.name for entry in put)
        half = len(names) // 2
        self.groups.extend((frozenset(names[:half]), frozenset(names[half:])))
        return ()

    def settle(self, target: TypeSet, names: frozenset[str]) -> None:
        """Aim at a set in which these names are what the peer has already."""
        self.aim(target)
        self.todo -= names

    def has(self) -> Iterable[Entry]:
        """What the peer has by its own word: asked for, sent, and not waiting for an answer."""
        names = self.base.names if self.wildcard else self.base.names & self.names.all
        return (self.base.entries[name] for name in names - self._unanswered())

    def answered(self, ids: Collection[ResourceId], target: TypeSet) -> Iterable[ResourceId]:
        """Of these, what the peer has by its own word in the version that is in a set."""
        if not ids:
            return ()
        unanswered, now = self._unanswered(), self.base.entries
        return [
            id_
            for id_ in ids
            if self.asks(id_.name)
            and id_.name not in unanswered
            and id_.name in target.names
            and now.get(id_.name) is target.entries[id_.name]
        ]

    def _unanswered(self) -> frozenset[str]:
        return self.todo.union(*(sent.names for sent in self.sent.values()), *self.groups)

    def _next_names(self) -> tuple[frozenset[str], bool]:
        """What to send now, and whether it is suspected: suspects travel alone, after everything else."""
        names = self.todo.difference(*self.groups)
        if names or not self.groups:
            return names, False
        return self.groups.popleft(), True

    def _ask(self, names: Iterable[str]) -> None:
        every = frozenset(names)
        if len(every) > MOST_NAMES:
            raise RequestError(f"more than {MOST_NAMES:,} names of one type")
        self.names = self.shelf.names(every)
