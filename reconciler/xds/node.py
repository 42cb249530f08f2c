"""One proxy on the plane: what it is to have, its streams, and what they say. Guarded by one lock of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.clock import Clock
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.model.variant import Variant
from reconciler.xds.moving import Mover
from reconciler.xds.repeats import Repeats
from reconciler.xds.sets import TYPES, Shelf
from reconciler.xds.state import Announcement, NodeState
from reconciler.xds.stream import Stream
from reconciler.xds.want import Want

_TEXTS = 256
"""Version texts that are remembered of one type: endpoints may be sent without end and nothing be published."""


class Node:
    """One proxy. Safe for several threads.

    Attributes:
        announcement: What the newest stream said about itself, of those that are open.
    """

    def __init__(self, key: Key, shelf: Shelf, mover: Mover, clock: Clock) -> None:
        self.key = key
        self.announcement: Announcement | None = None
        self.lost_at = clock.monotonic()
        self._shelf = shelf
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._want = Want(shelf, mover)
        self._streams: dict[Stream, Announcement] = {}  # the newest last
        self._since: datetime | None = None
        self._last: Stream | None = None
        self._texts: dict[ResourceType, dict[str, None]] = {}
        self._resources = self._bytes = self._opened = 0
        self._repeats = Repeats()

    def publish(self, resources: Iterable[Resource], gone: Iterable[ResourceId], commit: str) -> None:
        """From now on it is to have exactly these."""
        with self._changed:
            self._want.publish(resources, commit)
            self._texts, self._resources, self._bytes = {}, 0, 0
            orphans = [id_ for id_ in gone if id_.name not in self._want[id_.type].names]
            for stream in self._streams:
                for id_ in orphans:
                    stream.demand(id_.type, frozenset({id_.name}))
            self._wake()

    def refresh(self, hosts: Collection[str]) -> tuple[Resource, ...]:
        """Endpoints of these hosts may have changed; what it is to have in another version now, which is on its way."""
        with self._changed:
            moved = self._want.refresh(hosts)
            if moved:
                self._wake()
            return moved

    def withdraw(self) -> None:
        """Nothing is sent to it any more."""
        with self._changed:
            self._want.withdraw()
            self._wake()

    def hold(self, id_: ResourceId, words: str) -> bool:
        """Take a resource as refused, and send what it had before, or that there is none; whether that was so."""
        with self._changed:
            held = self._want.hold(id_, words, self._clock.now())
            if held:
                for stream in self._streams:
                    stream.demand(id_.type, frozenset({id_.name}))
                self._wake()
            return held

    def insist(self, type_: ResourceType) -> None:
        """Send everything of a type to streams that have not asked for it."""
        with self._changed:
            for stream in self._streams:
                stream.insist(type_)
            self._wake()

    def repeat(self, ids: Collection[ResourceId]) -> frozenset[ResourceId]:
        """Send these once more, as far as it has them by its own word, and was not sent the same a moment ago; what is sent."""
        with self._changed:
            versions = {id_: self._want[id_.type].entries[id_.name].resource.version for id_ in self.answered(ids)}
            due = self._repeats.due(versions, now=self._clock.monotonic())
            for stream in self._streams:
                for type_ in {id_.type for id_ in due if stream.asks(id_.type)}:
                    stream.demand(type_, frozenset(id_.name for id_ in due if id_.type is type_))
            if due:
                self._wake()
            return due

    def release(self, ids: Iterable[ResourceId]) -> None:
        """These were taken after all: the proxy has them."""
        with self._changed:
            known = frozenset(id_ for id_ in ids if id_ in self._want.held)
            self._want.release(known)
            for stream in self._streams:
                for type_ in {id_.type for id_ in known}:
                    stream.settle(type_, frozenset(id_.name for id_ in known if id_.type is type_))
            self._wake()

    def retry(self, types: frozenset[ResourceType]) -> None:
        """Send what is held of these types once more."""
        with self._changed:
            if any(id_.type in types for id_ in self._want.held):
                self._want.retry(types)
                self._wake()

    def open(
        self, variant: Variant, *, only: ResourceType | None, wake: Callable[[], None], said: Announcement, client: str, peer: str
    ) -> Stream:  # fmt: skip
        """A stream of this proxy begins."""
        with self._changed:
            stream = Stream(
                self._want, self._shelf, variant=variant, only=only, wake=wake, peer=peer, client=client, opened=self._clock.now(),
            )  # fmt: skip
            self._streams[stream] = said
            self._last, self._since, self.announcement = stream, stream.opened, said
            self._opened += 1
            self._changed.notify_all()
            return stream

    def close(self, stream: Stream) -> None:
        """A stream has ended."""
        with self._changed:
            del self._streams[stream]
            if self._streams:  # several peers have one name: what the one that left has said does not count any more
                self._last, self.announcement = list(self._streams.items())[-1]
                self._since = self._last.opened
                self._want.retry(frozenset(ResourceType))
                self._wake()
            else:
                self._since, self.lost_at = self._clock.now(), self._clock.monotonic()
                self._changed.notify_all()

    def receive(self, stream: Stream, request: Any) -> None:
        """A request came.

        Raises:
            RequestError: No client of the protocol sends it.
        """
        with self._changed:
            first = not stream.begun
            answer = stream.receive(request)
            if first and len(self._streams) == 1 and _has_nothing(request):
                self._want.forget_accepted()
            if answer is not None:
                if answer.taken is not None:
                    self._want.take(answer.type, answer.taken.put, answer.taken.removed)
                if answer.refusal is not None:
                    self._refused(stream, answer.type, answer.refusal.entries, answer.refusal.words)
                rests = stream.at_rest(answer.type)
                again = rests and self._want.accept(answer.type, stream.asked(answer.type))
                self._changed.notify_all()
                if rests and not again and answer.refusal is None:
                    return  # most requests are this: an ACK, after which there is nothing to say
            stream.wake()

    def next(self, stream: Stream) -> bytes | None:
        """The next response for a stream, or None. The caller writes it, and says when that is done."""
        with self._changed:
            found = stream.next()
            stream.writing = None if found is None else self._clock.monotonic()
            if found is None:
                for kind in TYPES:
                    # A peer that came back may have everything, and answers nothing.
                    if stream.at_rest(kind) and self._want.accept(kind, stream.asked(kind)):
                        stream.wake()
                self._changed.notify_all()
                return None
            type_, turn, data = found
            self._remember(type_, stream.text(type_))
            self._resources += len(turn.put) + len(turn.also)
            self._bytes += len(data)
            return data

    def state(self) -> NodeState:
        """What is known of it."""
        with self._changed:
            return self._state()

    def wait(self, timeout: float) -> NodeState:
        """What is known of it as soon as it is settled, or when the time is over."""
        with self._changed:
            self._changed.wait_for(self._settled, timeout)
            return self._state()

    def rest(self, type_: ResourceType, timeout: float) -> bool:
        """Whether it has answered everything of a type that it asks for, as soon as that is so or it is gone, or the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._streams or self._at_rest(type_), timeout)

    def answered(self, ids: Collection[ResourceId]) -> frozenset[ResourceId]:
        """Of these, what it has by its own word in the version that it is to have."""
        with self._changed:
            return frozenset(
                id_
                for stream in self._streams
                for subscription in stream.subscriptions()
                for id_ in subscription.answered(
                    [id_ for id_ in ids if id_.type is subscription.type], self._want[subscription.type]
                )
            )

    @property
    def expected(self) -> bool:
        """Whether there is anything that it is to have."""
        return self._want.published

    @property
    def connected(self) -> bool:
        """Whether a stream is open."""
        return bool(self._streams)

    def _settled(self) -> bool:
        return bool(self._streams) and all(stream.settled for stream in self._streams)

    def _at_rest(self, type_: ResourceType) -> bool:
        """Whether no stream has, or is about to be sent, anything of a type that it has not answered."""
        return all(stream.at_rest(type_) for stream in self._streams if stream.asks(type_))

    def _remember(self, type_: ResourceType, text: str) -> None:
        texts = self._texts.setdefault(type_, {})
        texts[text] = None
        if len(texts) > _TEXTS:
            del texts[next(iter(texts))]

    def _refused(self, stream: Stream, type_: ResourceType, entries: Iterable[Any], words: str) -> None:
        dropped = [entry.resource.id for entry in entries if self._want.give_up(entry.resource)]
        held = [
            entry.resource.id
            for entry in entries
            if self._want.wants(entry.resource) and self._want.hold(entry.resource.id, words, self._clock.now())
        ]
        if held or dropped:
            # What a process before this one had has to be sent to this one.
            here = [id_ for id_ in held if self._want.held[id_].kept is None or self._want.has(id_)]
            stream.settle(type_, frozenset(id_.name for id_ in (*here, *dropped)))
            self._wake()

    def _wake(self) -> None:
        for stream in self._streams:
            stream.wake()
        self._changed.notify_all()

    def _state(self) -> NodeState:
        last, now = self._last, self._clock.monotonic()
        began = [stream.writing for stream in self._streams if stream.writing is not None]
        acked: dict[ResourceType, str] = {}
        for stream in self._streams or ([last] if last else []):
            acked |= stream.acked
        return NodeState(
            connected=bool(self._streams),
            since=self._since,
            peer=last.peer if last else "",
            client=last.client if last else "",
            variant=str(last.variant) if last else "",
            published=self._want.published,
            fresh=not self._want.published and bool(self._streams) and all(item.fresh for item in self._streams),
            commit=self._want.commit,
            sets=MappingProxyType({type_: self._want[type_].version for type_ in TYPES}),
            settled=self._settled(),
            blocked=max((now - at for at in began), default=0.0),
            texts=MappingProxyType({type_: frozenset(texts) for type_, texts in self._texts.items()}),
            acked=MappingProxyType({type_: acked[type_] for type_ in TYPES if type_ in acked}),
            waiting=frozenset().union(*(stream.waiting for stream in self._streams)),
            held=MappingProxyType(dict(self._want.held)),
            resources_sent=self._resources,
            bytes_sent=self._bytes,
            streams=self._opened,
        )

    def published(self) -> Mapping[ResourceId, Resource]:
        """What it is to have: what was published last."""
        with self._changed:
            return self._want.resources

    def unasked(self) -> Mapping[ResourceId, Resource]:
        """Of what was published last, what no stream asks for."""
        with self._changed:
            asked = [subscription for stream in self._streams for subscription in stream.subscriptions()]
            return {
                id_: item
                for id_, item in self._want.resources.items()
                if not any(subscription.type is id_.type and subscription.asks(id_.name) for subscription in asked)
            }

    def has(self) -> dict[ResourceId, Resource]:
        """What it has by its own word: of what it asks for, what it has answered."""
        with self._changed:
            found = (
                entry.resource
                for stream in self._streams
                for subscription in stream.subscriptions()
                for entry in subscription.has()
            )
            return {item.id: item for item in sorted(found, key=lambda item: item.id)}


def _has_nothing(request: Any) -> bool:
    """Whether the first request of a stream is of a client that has just started."""
    return not (
        request.initial_resource_versions if hasattr(request, "initial_resource_versions") else request.version_info
    )
