"""Resources and views: what one proxy should have, or has. Equal content has equal versions, wherever it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from reconciler.model.key import Key
from reconciler.model.origin import Finding
from reconciler.model.services import Endpoint


class ResourceType(StrEnum):
    """Kinds of Envoy configuration, in make-before-break order."""

    SECRET = "secret"  # noqa: S105 -- a kind of resource; it names files
    CLUSTER = "cluster"
    ENDPOINTS = "endpoints"
    LISTENER = "listener"
    ROUTE = "route"
    RUNTIME = "runtime"

    @property
    def type_url(self) -> str:
        """The xDS type URL; RUNTIME stands for single keys and has none."""
        return _TYPE_URLS[self]

    @property
    def order(self) -> int:
        """Position in make-before-break order."""
        return _ORDER[self]


_TYPES = "type.googleapis.com/envoy."
_PREFIX = f"{_TYPES}config."
_TYPE_URLS = {
    ResourceType.SECRET: f"{_TYPES}extensions.transport_sockets.tls.v3.Secret",
    ResourceType.CLUSTER: f"{_PREFIX}cluster.v3.Cluster",
    ResourceType.ENDPOINTS: f"{_PREFIX}endpoint.v3.ClusterLoadAssignment",
    ResourceType.LISTENER: f"{_PREFIX}listener.v3.Listener",
    ResourceType.ROUTE: f"{_PREFIX}route.v3.RouteConfiguration",
}
_ORDER = {type_: index for index, type_ in enumerate(ResourceType)}


def content_hash(*parts: bytes) -> str:
    """The first 128 bits of SHA-256 over length-prefixed parts, in hex: every version in this product."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True, order=True)
class ResourceId:
    """A resource's type and name; sorts in make-before-break order, then by name."""

    order: int = field(init=False, repr=False, compare=True)
    type: ResourceType = field(compare=False)
    name: str
    hashed: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        order = self.type.order
        object.__setattr__(self, "order", order)
        # Ids are the keys of everything that travels between stages, and are looked up far more often than made.
        object.__setattr__(self, "hashed", hash((order, self.name)))

    def __hash__(self) -> int:
        return self.hashed

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class Recipe(Protocol):
    """How a load assignment is made for other discovered endpoints: everything that policies say about it is fixed in here.

    Attributes:
        host: The service whose endpoints it takes.
    """

    @property
    def host(self) -> str:
        """The service whose endpoints it takes."""

    def at(self, endpoints: Sequence[Endpoint]) -> Resource:
        """The load assignment where registries list these for the host; with the recipe in it, and those that Git declares."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One named xDS resource.

    Attributes:
        body: The protobuf, serialised deterministically (`model.protos.encode`). A RUNTIME resource's is its value, UTF-8.
        version: Hash of type, name and body.
        recipe: Of a load assignment that registries have a part in: its content changes without a commit, and does not count in
            receipts. Anything else, and whatever was read from a proxy, has none.
    """

    id: ResourceId
    body: bytes = field(repr=False)
    version: str
    recipe: Recipe | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, type_: ResourceType, name: str, body: bytes) -> Resource:
        """A resource with the version its content has."""
        return cls(ResourceId(type_, name), body, content_hash(type_.encode(), name.encode(), body))


def set_version(resources: Iterable[Resource]) -> str:
    """The version of a set: equal for equal sets in any order."""
    ordered = sorted(resources, key=lambda item: item.id)
    return content_hash(*(item.version.encode() for item in ordered))


@dataclass(frozen=True, slots=True)
class View:
    """What one proxy should have.

    Attributes:
        resources: By id, sorted. For a proxy that is pushed to by runtime these are RUNTIME keys only.
        unsupported: What the policies ask of this proxy and its way to push can't do; shown, never silently left out.
    """

    proxy: Key
    resources: Mapping[ResourceId, Resource]
    unsupported: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, proxy: Key, resources: Iterable[Resource], unsupported: Iterable[Finding] = ()) -> View:
        """A view of these resources, in order."""
        ordered = {item.id: item for item in sorted(resources, key=lambda item: item.id)}
        return cls(proxy, MappingProxyType(ordered), tuple(unsupported))

    def exchanged(self, resources: Iterable[Resource]) -> View:
        """The same with other content in some of its resources.

        Raises:
            KeyError: There is no resource of that id.
        """
        new = {item.id: item for item in resources}
        for id_ in new:
            if id_ not in self.resources:
                raise KeyError(id_)  # it would not be in its place
        # `copy` clones the table as it is; `dict()` of a mapping would hash every id again, which costs 20 times as much.
        mixed = MappingProxyType(self.resources).copy()
        mixed.update(new)
        return View(self.proxy, MappingProxyType(mixed), self.unsupported)

    @property
    def version(self) -> str:
        """The version of the whole view: what receipts hold. Discovered endpoints don't count."""
        return set_version(item for item in self.resources.values() if item.recipe is None)

    @property
    def discovered(self) -> frozenset[ResourceId]:
        """The load assignments that registries have a part in."""
        return frozenset(id_ for id_, item in self.resources.items() if item.recipe is not None)

    def of_type(self, type_: ResourceType) -> tuple[Resource, ...]:
        """The resources of one type, by name."""
        return tuple(item for item in self.resources.values() if item.id.type is type_)
