"""A raw xDS client: it sends exactly what a test tells it to, and shows exactly what came. Over gRPC, or straight into a plane."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery

from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.variant import Variant
from reconciler.xds import Plane
from reconciler.xds.identity import announcement, client_of
from reconciler.xds.stream import parse
from tests.xds.lab import (
    CLUSTER,
    DELTA,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    SECRET,
    endpoints,
    made,
    route,
    secret,
    static_cluster,
)

PATIENCE = 20.0
"""Seconds until a response that should come counts as missing."""

FENCE = "fence"
"""What a client asks for to see that nothing else was on its way. Left out of what it shows."""

_NOUNS = {
    None: ("discovery.v3.AggregatedDiscoveryService", "AggregatedResources"),
    CLUSTER: ("cluster.v3.ClusterDiscoveryService", "Clusters"),
    ENDPOINTS: ("endpoint.v3.EndpointDiscoveryService", "Endpoints"),
    LISTENER: ("listener.v3.ListenerDiscoveryService", "Listeners"),
    ROUTE: ("route.v3.RouteDiscoveryService", "Routes"),
    SECRET: ("secret.v3.SecretDiscoveryService", "Secrets"),
}
_TYPES = {type_.type_url: type_ for type_ in _NOUNS if type_ is not None}


def fences() -> list[Resource]:
    """One resource of each type, for `Peer.quiet`."""
    listener = made(LISTENER, name=FENCE, address={"pipe": {"path": "@fence"}})
    return [secret(FENCE), static_cluster(FENCE), endpoints(FENCE, 1), listener, route(FENCE, FENCE)]


class Line(Protocol):
    """Bytes to a server and back."""

    def send(self, data: bytes) -> None:
        """Send a request."""

    def receive(self, patience: float) -> bytes:
        """The next response. Raises `queue.Empty` if none comes, and `grpc.RpcError` if the stream has ended."""

    def close(self) -> None:
        """End the stream."""


class Wire:
    """A stream over gRPC, with a thread that reads it unless told not to. Waits for a server unless told not to."""

    def __init__(
        self, channel: grpc.Channel, variant: str, only: ResourceType | None = None, *, reads: bool = True, waits: bool = True
    ) -> None:  # fmt: skip
        service, noun = _NOUNS[only]
        method = f"/envoy.service.{service}/{'Delta' if variant == DELTA else 'Stream'}{noun}"
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[bytes | grpc.RpcError | None] = queue.SimpleQueue()
        self.call = channel.stream_stream(method)(self._requests(), wait_for_ready=waits)
        self._reader: threading.Thread | None = None
        if reads:
            self.read()

    def read(self) -> None:
        """Begin to read."""
        self._reader = threading.Thread(target=self._read, name="xds-client", daemon=True)
        self._reader.start()

    def send(self, data: bytes) -> None:
        self._out.put(data)

    def finish(self) -> None:
        """Say that no more requests come, which ends the stream in good order."""
        self._out.put(None)

    def receive(self, patience: float = PATIENCE) -> bytes:
        found = self._in.get(timeout=patience)
        if found is None:
            raise EOFError("the server has ended the stream in good order")
        if isinstance(found, grpc.RpcError):
            raise found
        return found

    def ended(self, patience: float = PATIENCE) -> grpc.RpcError:
        """How the server has ended the stream; what came before is dropped."""
        while True:
            try:
                self.receive(patience)
            except grpc.RpcError as error:
                return error

    def close(self) -> None:
        self.call.cancel()
        self._out.put(None)
        if self._reader is not None:
            self._reader.join()

    def _requests(self) -> Iterator[bytes]:
        while (data := self._out.get()) is not None:
            yield data

    def _read(self) -> None:
        try:
            for data in self.call:
                self._in.put(data)
            self._in.put(None)
        except grpc.RpcError as error:
            self._in.put(error)


class Direct:
    """A stream on a plane in this thread, without a server: for laws, which try many."""

    def __init__(self, plane: Plane, variant: str, node: Any, only: ResourceType | None = None) -> None:
        self._plane, self._variant = plane, Variant(variant)
        self._node, self._stream = plane.open(
            announcement(node, peer="ipv4:127.0.0.1:1"), variant=self._variant, only=only, wake=lambda: None,
            client=client_of(node), peer="127.0.0.1:1",
        )  # fmt: skip

    def send(self, data: bytes) -> None:
        self._node.receive(self._stream, parse(self._variant, data))

    def receive(self, patience: float = 0) -> bytes:  # noqa: ARG002 -- what there is, is there at once
        data = self._node.next(self._stream)
        if data is None:
            raise queue.Empty
        return data

    def close(self) -> None:
        self._plane.close(self._node, self._stream)


@dataclass(frozen=True)
class Got:
    """A response.

    Attributes:
        bodies: Of resources, by name.
        versions: In delta, of each resource.
        repeated: Names that were in it more than once.
    """

    type: ResourceType
    nonce: str
    version: str
    bodies: Mapping[str, bytes]
    versions: Mapping[str, str]
    removed: AbstractSet[str]
    identifier: str
    size: int
    repeated: frozenset[str] = frozenset()

    @property
    def names(self) -> AbstractSet[str]:
        return set(self.bodies) - {FENCE}

    def has(self, *resources: Resource) -> bool:
        """Whether these are all that is in it, byte for byte."""
        return {name: self.bodies[name] for name in self.names} == {item.id.name: item.body for item in resources}


def read(variant: str, data: bytes) -> Got:
    """What a response says."""
    if variant == DELTA:
        delta = discovery.DeltaDiscoveryResponse.FromString(data)
        return _got(delta, data, delta.system_version_info, [(item.name, item.resource.value) for item in delta.resources],
                    {item.name: item.version for item in delta.resources})  # fmt: skip
    whole = discovery.DiscoveryResponse.FromString(data)
    type_ = _TYPES[whole.type_url]
    for item in whole.resources:
        assert item.type_url == whole.type_url
    named = [(_name(type_, item.value), item.value) for item in whole.resources]
    return _got(whole, data, whole.version_info, named, {})


def _got(
    response: Any, data: bytes, version: str, named: list[tuple[str, bytes]], versions: Mapping[str, str]
) -> Got:  # fmt: skip
    bodies = dict(named)
    return Got(
        type=_TYPES[response.type_url],
        nonce=response.nonce,
        version=version,
        bodies=MappingProxyType(bodies),
        versions=MappingProxyType({name: text for name, text in versions.items() if name != FENCE}),
        removed=frozenset(getattr(response, "removed_resources", ())),
        identifier=response.control_plane.identifier,
        size=len(data),
        repeated=frozenset(name for name in bodies if sum(name == other for other, _ in named) > 1)
        if len(bodies) != len(named)
        else frozenset(),
    )


def _name(type_: ResourceType, body: bytes) -> str:
    message: Any = protos.MESSAGES[type_].FromString(body)
    return str(message.cluster_name if type_ is ENDPOINTS else message.name)


def node_of(key: Key, **more: Any) -> Any:
    """Who a client says it is."""
    return discovery.DiscoveryRequest(node={"id": str(key), "user_agent_name": "envoy", "user_agent_version": "1.40.0"} | more).node  # fmt: skip


@dataclass
class Peer:
    """One client on one stream. Keeps what the protocol asks a client to keep: its names, its last nonce and version.

    Attributes:
        names: In SotW, what it asks for now, by type.
    """

    line: Line
    variant: str
    node: Any
    names: dict[ResourceType, tuple[str, ...]] = field(default_factory=dict)
    nonces: dict[ResourceType, str] = field(default_factory=dict)
    accepted: dict[ResourceType, str] = field(default_factory=dict)
    count: int = 0

    def ask(
        self, type_: ResourceType, *names: str, drop: Iterable[str] = (), had: Mapping[str, str] | None = None,
        version: str = "", nonce: str | None = None, words: str | None = None, url: str | None = None,
    ) -> None:  # fmt: skip
        """Ask for these names too, and no longer for those to drop.

        `had` is what a delta client has, `version` what a SotW client had when it comes back; `nonce` is the one that a client
        of the protocol would send, unless given; `words` make it a NACK.
        """
        url = type_.type_url if url is None else url
        if self.variant == DELTA:
            request: Any = discovery.DeltaDiscoveryRequest(
                type_url=url,
                resource_names_subscribe=names,
                resource_names_unsubscribe=drop,
                initial_resource_versions=had or {},
                response_nonce=nonce or "",
            )
        else:
            kept = [name for name in self.names.get(type_, ()) if name not in set(drop) | set(names)]
            self.names[type_] = (*kept, *names)
            request = discovery.DiscoveryRequest(
                type_url=url,
                resource_names=self.names[type_],
                version_info=version or self.accepted.get(type_, ""),
                response_nonce=self.nonces.get(type_, "") if nonce is None else nonce,
            )
        if words is not None:
            request.error_detail.code = 13
            request.error_detail.message = words
        self.send(request)

    def send(self, request: Any) -> None:
        """Send a request as it is, with the node if it is the first."""
        if self.node is not None:
            request.node.CopyFrom(self.node)
            self.node = None
        self.line.send(request.SerializeToString())

    def get(self, type_: ResourceType | None = None, *, patience: float = PATIENCE) -> Got:
        """The next response, which must be of this type."""
        try:
            got = read(self.variant, self.line.receive(patience))
        except queue.Empty:
            raise AssertionError(f"no response of type {type_} came") from None
        assert type_ in {None, got.type}, got
        assert not got.repeated, "never twice one name in one response"
        assert not got.removed & got.bodies.keys()
        self.nonces[got.type] = got.nonce
        self.count += 1
        return got

    def ack(self, got: Got) -> None:
        """Accept a response."""
        self.accepted[got.type] = got.version
        self._answer(got, None)

    def nack(self, got: Got, words: str) -> None:
        """Refuse a response."""
        self._answer(got, words)

    def take(self, type_: ResourceType | None) -> Got:
        """The next response, accepted."""
        got = self.get(type_)
        self.ack(got)
        return got

    def drain(self) -> list[Got]:
        """Everything that is there, accepted; on a line in this thread."""
        found = []
        with suppress(queue.Empty):
            while True:
                got = read(self.variant, self.line.receive(0))
                self.nonces[got.type] = got.nonce
                found.append(got)
                self.ack(got)
        return found

    def quiet(self, type_: ResourceType = ROUTE) -> None:
        """See that the server has nothing to say: what is asked for now is answered next, with nothing else in it.

        Types are sent in order and routes last, so on an aggregated stream the default sees everything. `fences` must be published.
        """
        before = self.count
        if self.variant == DELTA:
            self.ask(type_, FENCE)
        else:
            self.ask(type_, drop=[FENCE])
            self.ask(type_, FENCE)
        got = self.get(type_)
        by_set = self.variant != DELTA and type_ in {CLUSTER, LISTENER}
        assert got.bodies.keys() == {FENCE} or by_set, f"something else came: {sorted(got.names)} {sorted(got.removed)}"
        assert not got.removed
        assert int(got.nonce) == self.count, f"{int(got.nonce) - before} responses instead of one"
        self.ack(got)

    def _answer(self, got: Got, words: str | None) -> None:
        if self.variant == DELTA:
            self.ask(got.type, nonce=got.nonce, words=words)
        else:
            self.ask(got.type, nonce=got.nonce, words=words)

    def close(self) -> None:
        self.line.close()
