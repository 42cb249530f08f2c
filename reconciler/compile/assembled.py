"""Route configurations, put together from encoded virtual hosts: one that changes costs itself, not the ten thousand beside it.

The bytes are those of the whole message: its fields are encoded in the order of their numbers, and a repeated field is
its items one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from envoy.config.route.v3.route_pb2 import RouteConfiguration

from reconciler.compile.names import ClusterRef
from reconciler.model.key import Key
from reconciler.model.origin import Finding
from reconciler.model.protos import encode
from reconciler.model.resource import Resource, ResourceType

_VIRTUAL_HOSTS = RouteConfiguration.DESCRIPTOR.fields_by_name["virtual_hosts"].number


@dataclass(frozen=True, slots=True)
class Piece:
    """One virtual host of a configuration.

    Attributes:
        body: Encoded as it stands there.
        clusters: That its routes lead to.
        policies: The VirtualServices whose rules it has.
        recipe: From what it can be made again.
    """

    body: bytes = field(repr=False)
    clusters: frozenset[ClusterRef]
    findings: tuple[Finding, ...] = ()
    policies: tuple[Key, ...] = ()
    recipe: Any = None


def encoded(virtual_host: Any) -> bytes:
    """A virtual host as it stands in a configuration."""
    return encode(RouteConfiguration(virtual_hosts=[virtual_host]))


@dataclass(frozen=True)
class Assembled:
    """A route configuration.

    Attributes:
        frame: The message without virtual hosts.
        offered: Clusters that it needs besides those of its routes.
        absent: VirtualServices that would have a virtual host here if their rules were others.
    """

    frame: Any
    pieces: tuple[Piece, ...]
    offered: frozenset[ClusterRef] = frozenset()
    absent: frozenset[Key] = frozenset()

    @cached_property
    def resource(self) -> Resource:
        """The whole, encoded."""
        head, tail = RouteConfiguration(), RouteConfiguration()
        for descriptor, _ in self.frame.ListFields():
            part = head if descriptor.number < _VIRTUAL_HOSTS else tail
            part.MergeFrom(_only(self.frame, descriptor.name))
        body = b"".join([encode(head), *(piece.body for piece in self.pieces), encode(tail)])
        return Resource.of(ResourceType.ROUTE, self.frame.name, body)

    @cached_property
    def clusters(self) -> frozenset[ClusterRef]:
        """Every cluster that it needs."""
        return self.offered.union(*(piece.clusters for piece in self.pieces))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with it."""
        return tuple(finding for piece in self.pieces for finding in piece.findings)

    @cached_property
    def users(self) -> Mapping[Key, tuple[int, ...]]:
        """Where the rules of each VirtualService are."""
        found: dict[Key, list[int]] = {}
        for number, piece in enumerate(self.pieces):
            for key in piece.policies:
                found.setdefault(key, []).append(number)
        return {key: tuple(numbers) for key, numbers in found.items()}

    def positions(self, policies: Iterable[Key]) -> list[int]:
        """The pieces that have rules of any of these VirtualServices."""
        return sorted({number for key in policies for number in self.users.get(key, ())})

    def exchanged(self, pieces: Mapping[int, Piece]) -> Assembled:
        """The same with other pieces in some places, which lead to the same clusters and have rules of the same documents."""
        mixed = list(self.pieces)
        for number, piece in pieces.items():
            mixed[number] = piece
        other = replace(self, pieces=tuple(mixed))
        other.__dict__.update(clusters=self.clusters, users=self.users)
        return other


def _only(message: Any, name: str) -> Any:
    part = type(message)()
    part.CopyFrom(message)
    for descriptor, _ in message.ListFields():
        if descriptor.name != name:
            part.ClearField(descriptor.name)
    return part
