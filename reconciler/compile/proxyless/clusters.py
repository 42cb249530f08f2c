"""Clusters as gRPC clients take them (gRFCs A27, A29, A32, A37, A42): reworded from Envoy's, which `compile.clusters` makes.

gRPC refuses a cluster for a load balancing policy, a discovery or a TLS setting that it doesn't know. Where leaving it out would
send requests elsewhere, or in plain text, the cluster has no endpoints instead: its requests fail at once, and it is said why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext

from reconciler.compile.clusters import Built
from reconciler.compile.proxyless.endpoints import assignment, is_called
from reconciler.compile.proxyless.pruning import Tree, prune
from reconciler.compile.proxyless.tls import upstream
from reconciler.compile.sources import AdsSource
from reconciler.compile.tls import Site
from reconciler.model.protos import decode, encode
from reconciler.model.resource import Recipe, Resource, ResourceType
from reconciler.model.services import Endpoint

_CLUSTER: Tree = {
    "name": None,
    "metadata": None,
    "ring_hash_lb_config": {"minimum_ring_size": None, "maximum_ring_size": None},
    "circuit_breakers": {"thresholds": {"priority": None, "max_requests": None}},
}
_HASHING = {Cluster.RING_HASH, Cluster.MAGLEV}


@dataclass(frozen=True, slots=True)
class Taken:
    """A cluster for gRPC clients.

    Attributes:
        problem: Why requests for it fail though it may have endpoints, or "".
        setting: The block of the DestinationRule that is the reason, or "" if it is the service itself.
        left_out: How many of its endpoints gRPC can't call.
    """

    cluster: Resource
    endpoints: Resource | None
    problem: str = ""
    setting: str = ""
    left_out: int = 0


def taken(built: Built, site: Site) -> Taken:
    """A cluster and its endpoints, reworded."""
    given: Any = decode(built.cluster)
    message = Cluster()
    message.CopyFrom(given)
    prune(message, _CLUSTER)
    hashed = given.lb_policy in _HASHING
    message.lb_policy = Cluster.RING_HASH if hashed else Cluster.ROUND_ROBIN
    if not hashed:
        message.ClearField("ring_hash_lb_config")
    if given.HasField("transport_socket"):
        context = upstream(given.transport_socket, site)
        if context is None:
            problem = "gRPC can't begin or secure connections in this way, and they are not made in another"
            secured = given.transport_socket.typed_config.Is(UpstreamTlsContext.DESCRIPTOR)
            return _unreachable(message, problem, "tls" if secured else "proxy_protocol")
        message.transport_socket.CopyFrom(context)
    named = [member for group in given.load_assignment.endpoints for member in group.lb_endpoints]
    if built.endpoints is None and len(named) == 1:
        return Taken(_by_name(message, named[0]), None)
    if built.endpoints is None:
        problem = "it is found neither by addresses nor by a single name" if _is_found(given) else ""
        return _unreachable(message, problem, "")
    return Taken(_pushed(message), reworded(built.endpoints, hashed=hashed), left_out=_left_out(built.endpoints))


def _is_found(given: Any) -> bool:
    """Whether an Envoy finds endpoints by itself, so that not finding any is a difference."""
    return bool(given.HasField("cluster_type") or given.type != Cluster.STATIC)


def _left_out(endpoints: Resource) -> int:
    """How many endpoints gRPC can't call; of a discovered service, of those that Git declares."""
    own: Any = decode(endpoints.recipe.at(()) if endpoints.recipe is not None else endpoints)
    return sum(not is_called(member) for group in own.endpoints for member in group.lb_endpoints)


@dataclass(frozen=True, slots=True)
class Reworded:
    """The recipe of a load assignment for gRPC clients (`model.resource.Recipe`).

    Attributes:
        inner: Of what an Envoy in their place would have.
        hashed: Whether a ring of endpoints is chosen from.
    """

    inner: Recipe
    hashed: bool

    @property
    def host(self) -> str:
        """The service."""
        return self.inner.host

    def at(self, endpoints: Sequence[Endpoint]) -> Resource:
        """The load assignment where registries list these."""
        return self.of(self.inner.at(endpoints))

    def of(self, given: Resource) -> Resource:
        """The same as what an Envoy would have, reworded. With this very recipe, by whose identity it is known."""
        return replace(_resource(assignment(decode(given), hashed=self.hashed)), recipe=self)


def reworded(given: Resource, *, hashed: bool) -> Resource:
    """A load assignment for gRPC clients, with a recipe if the given one has one."""
    if given.recipe is not None:
        return Reworded(given.recipe, hashed).of(given)
    return _resource(assignment(decode(given), hashed=hashed))


def _pushed(message: Any) -> Resource:
    message.type = Cluster.EDS
    AdsSource().fill(message.eds_cluster_config.eds_config, ResourceType.ENDPOINTS)
    return Resource.of(ResourceType.CLUSTER, message.name, encode(message))


def _by_name(message: Any, member: Any) -> Resource:
    """All addresses of one name, as Envoy's strict DNS; gRPC holds one connection to them."""
    message.type = Cluster.LOGICAL_DNS
    message.load_assignment.cluster_name = message.name
    address = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address
    address.socket_address.address = member.endpoint.address.socket_address.address
    address.socket_address.port_value = member.endpoint.address.socket_address.port_value
    return Resource.of(ResourceType.CLUSTER, message.name, encode(message))


def _unreachable(message: Any, problem: str, setting: str) -> Taken:
    nowhere = ClusterLoadAssignment(cluster_name=message.name)
    return Taken(_pushed(message), _resource(nowhere), problem, setting)


def _resource(message: Any) -> Resource:
    """Not in the form of Envoy's dumps (`model.protos.resource`): gRPC asks for what that leaves out."""
    return Resource.of(ResourceType.ENDPOINTS, message.cluster_name, encode(message))
