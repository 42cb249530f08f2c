"""Where what is wanted meets who is connected: all proxies, what each is to have, and what each has said.

Passes publish from their threads, changes of endpoints come from another, and streams are served from a third. Nothing here waits for a
peer. What a pass publishes may be older than the endpoints that are known; what is sent never is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from reconciler.clock import Clock, SystemClock
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.model.variant import Variant
from reconciler.xds.moving import Fresh, Mover, unchanged
from reconciler.xds.node import Node
from reconciler.xds.sets import Shelf
from reconciler.xds.state import Announcement, NodeState, Refreshed
from reconciler.xds.stream import Stream

REMEMBERED = 300.0
"""Seconds for which a proxy that announced itself stays in the fleet after its last stream."""

MOST_NODES = 20_000
"""Proxies that may be connected or remembered."""


class CrowdedError(Exception):
    """There are more proxies than this daemon keeps account of."""


class Plane:
    """All proxies on ADS. Safe for several threads.

    Args:
        clock: For what is shown, and for how long a proxy is remembered.
        on_change: Called with a proxy that has connected or gone, on the thread of the streams; must not wait.
        fresh: What a load assignment is for the endpoints that are known now; for any thread, must not wait, and never says
            something older than it has said before.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        on_change: Callable[[Key], None] = lambda _key: None,
        fresh: Fresh = unchanged,
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_change = on_change
        self.fresh = fresh
        self._shelf = Shelf()
        self._mover = Mover(self._shelf, fresh)
        self._lock = threading.Lock()
        self._nodes: dict[Key, Node] = {}
        self.started = self._clock.monotonic()

    def publish(
        self, proxy: Key, resources: Iterable[Resource], *, gone: Iterable[ResourceId] = (), commit: str = ""
    ) -> None:
        """From now on a proxy is to have exactly these. Its streams are sent what differs; nobody is waited for.

        Args:
            proxy: Connected or not.
            resources: RUNTIME keys are left out.
            gone: What it may have without having said so; it is told that these are gone, if they are not among `resources`.
            commit: The policy commit, told along with what is sent anyway.
        """
        resources, gone = tuple(resources), tuple(gone)
        while True:
            node = self._node(proxy)
            node.publish(resources, gone, commit)
            if self._known(proxy) is node:  # or it was forgotten in the meantime
                return

    def refresh(self, hosts: Collection[str]) -> Refreshed:
        """Endpoints of these hosts have changed: every proxy that was published any of them is sent the newest.

        A proxy that is behind gets the newest only, in one piece with whatever else it lacks.
        """
        asked = frozenset(hosts)
        with self._lock:
            nodes = list(self._nodes.items())
        moved = ((key, node.refresh(asked)) for key, node in nodes)
        return Refreshed(resources=MappingProxyType({key: found for key, found in moved if found}))

    def withdraw(self, proxy: Key) -> None:
        """Nothing is sent to a proxy any more; it keeps what it has."""
        if node := self._known(proxy):
            node.withdraw()

    def retain(self, members: Container[Key]) -> None:
        """Serve these only: to all others nothing is sent any more, and they keep what they have."""
        with self._lock:
            others = [key for key in self._nodes if key not in members]
        for key in others:
            self.withdraw(key)

    def hold(self, proxy: Key, id_: ResourceId, words: str) -> bool:
        """Take the present version of a resource as refused although the proxy has not said so; whether it was not held yet."""
        node = self._known(proxy)
        return node is not None and node.hold(id_, words)

    def insist(self, proxy: Key, type_: ResourceType) -> None:
        """Send a proxy everything of a set although it has not asked: Envoy does not, as long as a cluster of before warms."""
        if node := self._known(proxy):
            node.insist(type_)

    def repeat(self, proxy: Key, ids: Collection[ResourceId]) -> frozenset[ResourceId]:
        """Send what a proxy says that it has once more: it was seen to serve something else.

        Returns:
            What is sent: not what it has not answered, nor what was repeated in the same version less than a minute ago.
        """
        node = self._known(proxy)
        return node.repeat(ids) if node else frozenset()

    def release(self, proxy: Key, ids: Iterable[ResourceId]) -> None:
        """What was taken as refused is in force."""
        if node := self._known(proxy):
            node.release(ids)

    def retry(self, proxy: Key, types: frozenset[ResourceType]) -> None:
        """Send what a proxy refused of these types once more."""
        if node := self._known(proxy):
            node.retry(types)

    def state(self, proxy: Key) -> NodeState:
        """What is known of a proxy; of one that is not known, that it is not connected."""
        node = self._known(proxy)
        return node.state() if node else NodeState()

    def states(self) -> Mapping[Key, NodeState]:
        """What is known of every proxy, by key."""
        with self._lock:
            nodes = sorted(self._nodes.items())
        return {key: node.state() for key, node in nodes}

    def has(self, proxy: Key) -> Mapping[ResourceId, Resource]:
        """What a proxy has by its own word, sorted: of what it asks for, what it has answered."""
        node = self._known(proxy)
        return node.has() if node else {}

    def published(self, proxy: Key) -> Mapping[ResourceId, Resource]:
        """What was published last for a proxy, as it was then, sorted, whether it asks for it or not; nothing if nothing was."""
        node = self._known(proxy)
        return node.published() if node else {}

    def unasked(self, proxy: Key) -> Mapping[ResourceId, Resource]:
        """Of what was published last for a proxy, what it does not ask for."""
        node = self._known(proxy)
        return node.unasked() if node else {}

    def wait(self, proxy: Key, *, timeout: float) -> NodeState:
        """What is known of a proxy as soon as it has answered everything, or when so many seconds are over."""
        return self._node(proxy).wait(timeout)

    def rests(self, proxy: Key, type_: ResourceType, *, timeout: float) -> bool:
        """Whether a proxy has answered everything of a type that it asks for, as soon as it has; also if it is not connected.

        Args:
            proxy: Which.
            type_: What it has to have answered; whatever else it owes does not matter.
            timeout: Seconds to wait for that.
        """
        node = self._known(proxy)
        return node is None or node.rest(type_, timeout)

    def answered(self, proxy: Key, ids: Collection[ResourceId]) -> frozenset[ResourceId]:
        """Of these, what a proxy has by its own word in the version that it is to have."""
        node = self._known(proxy)
        return node.answered(ids) if node else frozenset()

    def joined(self) -> tuple[Announcement, ...]:
        """Every proxy that is connected, or was not long ago, as it announced itself; by key."""
        with self._lock:
            self._forget()
            nodes = sorted(self._nodes.items())
        return tuple(
            replace(node.announcement, connected=node.connected) for _, node in nodes if node.announcement is not None
        )

    def open(
        self,
        said: Announcement,
        *,
        variant: Variant,
        only: ResourceType | None,
        wake: Callable[[], None],
        client: str,
        peer: str,
    ) -> tuple[Node, Stream]:
        """A stream of a proxy begins.

        Raises:
            CrowdedError: There are too many proxies.
        """
        with self._lock:  # until the stream is open, or the node could be forgotten before
            if said.key not in self._nodes and len(self._nodes) >= MOST_NODES:
                self._forget()
                if len(self._nodes) >= MOST_NODES:
                    raise CrowdedError(f"there are {MOST_NODES:,} proxies already")
            node = self._nodes.setdefault(said.key, Node(said.key, self._shelf, self._mover, self._clock))
            stream = node.open(variant, only=only, wake=wake, said=said, client=client, peer=peer)
        self._on_change(said.key)
        return node, stream

    def close(self, node: Node, stream: Stream) -> None:
        """A stream has ended."""
        node.close(stream)
        self._on_change(node.key)

    def _forget(self) -> None:
        """Let go of proxies that left long ago, and of those that nothing was ever published for."""
        now = self._clock.monotonic()
        for key, node in list(self._nodes.items()):
            if not node.connected and now - node.lost_at > REMEMBERED and (node.announcement or not node.expected):
                del self._nodes[key]

    def _known(self, key: Key) -> Node | None:
        with self._lock:
            return self._nodes.get(key)

    def _node(self, key: Key) -> Node:
        with self._lock:
            if key not in self._nodes:
                self._nodes[key] = Node(key, self._shelf, self._mover, self._clock)
            return self._nodes[key]
