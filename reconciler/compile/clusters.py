"""Clusters and their endpoints: a service port, or a subset of it, as CDS and EDS resources.

Load assignments hold nothing of the proxy that reads them, so all proxies share them; clusters differ in where their
endpoints come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from reconciler.compile import names
from reconciler.compile.index import Index, Rule
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.sources import FilesSource
from reconciler.compile.viewer import Viewer
from reconciler.model.destinationrule import Subset
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.serviceentry import Protocol
from reconciler.model.services import Service, selected
from reconciler.model.trafficpolicy import SimpleLB

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_LB_POLICIES = {
    SimpleLB.LEAST_CONN: Cluster.LEAST_REQUEST,
    SimpleLB.LEAST_REQUEST: Cluster.LEAST_REQUEST,
    SimpleLB.ROUND_ROBIN: Cluster.ROUND_ROBIN,
    SimpleLB.RANDOM: Cluster.RANDOM,
}
_HTTP2 = {Protocol.HTTP2, Protocol.GRPC}


def speaks_http2(protocol: str) -> bool:
    """Whether a port of this protocol takes HTTP/2 without an upgrade; Sidecar ports have the same names."""
    return protocol in _HTTP2


@dataclass(frozen=True, slots=True)
class _Shared:
    """What proxies of one kind have in common: a cluster without the place of its endpoints, and those."""

    cluster: Any
    endpoints: Resource


class Clusters:
    """The clusters of one mesh, each built when it is first asked for."""

    def __init__(self, index: Index, prototypes: Prototypes) -> None:
        self._index = index
        self._plain = prototypes.cluster
        self._http2 = with_http2(prototypes.cluster, prototypes)
        self._shared: dict[tuple[ClusterRef, Viewer], _Shared] = {}
        self._endpoints: dict[tuple[ClusterRef, tuple[tuple[str, str], ...] | None], Resource] = {}

    def of_service(self, service: Service, port: int, *, viewer: Viewer) -> list[ClusterRef]:
        """The clusters of a service port, as a proxy has them: itself and each subset."""
        rule = self._index.rule(service.host, viewer)
        subsets = sorted(rule.subsets) if rule else []
        return [ClusterRef(service.host, port, subset) for subset in ("", *subsets)]

    def resources(self, ref: ClusterRef, source: FilesSource, *, viewer: Viewer) -> tuple[Resource, Resource]:
        """The CDS resource, with its endpoints from this source, and the EDS resource.

        Its endpoints are those of the port that carry the subset's labels. A host, port or subset that nobody declares has
        none; requests for it get a 503 until there are some.
        """
        shared = self._shared.get((ref, viewer)) or self._build(ref, viewer)
        message = Cluster()
        message.CopyFrom(shared.cluster)
        source.fill(message.eds_cluster_config.eds_config, ResourceType.ENDPOINTS, ref.name)
        return resource(ResourceType.CLUSTER, message), shared.endpoints

    def _build(self, ref: ClusterRef, viewer: Viewer) -> _Shared:
        rule = self._index.rule(ref.host, viewer)
        service = self._index.services.get(ref.host)
        port = service.port(ref.port) if service else None
        message = Cluster()
        message.CopyFrom(self._http2 if port and speaks_http2(port.protocol) else self._plain)
        message.name = ref.name
        message.type = Cluster.EDS
        if rule is not None:
            _apply(message, ref, rule)
        labels = self._labels(ref, rule)
        key = (ref, None if labels is None else tuple(sorted(labels.items())))
        if key not in self._endpoints:
            self._endpoints[key] = resource(ResourceType.ENDPOINTS, _assignment(ref, service, labels))
        self._shared[ref, viewer] = _Shared(message, self._endpoints[key])
        return self._shared[ref, viewer]

    @staticmethod
    def _labels(ref: ClusterRef, rule: Rule | None) -> dict[str, str] | None:
        """What endpoints must carry, or None if there is no such subset."""
        if not ref.subset:
            return {}
        subset = rule.subsets.get(ref.subset) if rule else None
        return dict(subset.labels) if subset else None


def with_http2(cluster: Any, prototypes: Prototypes) -> Any:
    """A copy of a cluster that speaks HTTP/2, whatever else the template says of HTTP."""
    message = Cluster()
    message.CopyFrom(cluster)
    options = HttpProtocolOptions()
    packed = message.typed_extension_protocol_options[_HTTP_OPTIONS]
    packed.Unpack(options)
    options.MergeFrom(prototypes.cluster_http2)
    packed.Pack(options, deterministic=True)
    return message


def _apply(message: Any, ref: ClusterRef, rule: Rule) -> None:
    """A DestinationRule's settings; a subset's traffic policy overrides the rule's block by block."""
    subset: Subset | None = rule.subsets.get(ref.subset)
    for policy in (subset.traffic_policy if subset else None, rule.traffic_policy):
        if policy is not None and policy.load_balancer is not None:
            message.lb_policy = _LB_POLICIES.get(policy.load_balancer.simple or SimpleLB.UNSPECIFIED, message.lb_policy)
            break
    origin = {"config": names.config_path("destination-rule", rule.key)}
    message.metadata.filter_metadata["istio"].update(origin | ({"subset": ref.subset} if subset else {}))


def _assignment(ref: ClusterRef, service: Service | None, labels: dict[str, str] | None) -> ClusterLoadAssignment:
    message = ClusterLoadAssignment(cluster_name=ref.name)
    port = service.port(ref.port) if service else None
    if service is None or port is None or labels is None:
        return message
    chosen = sorted(
        (endpoint.address, endpoint.ports[port.name], endpoint.weight)
        for endpoint in service.endpoints
        if selected(endpoint.labels, labels)
    )
    if not chosen:
        return message
    locality = message.endpoints.add()
    for address, number, weight in chosen:
        member = locality.lb_endpoints.add()
        member.endpoint.address.socket_address.address = address
        member.endpoint.address.socket_address.port_value = number
        member.load_balancing_weight.value = weight
    return message
