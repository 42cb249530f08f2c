"""The application behind an inbound listener as resources: its cluster, and the filter chain that leads there.

Both hold nothing that is pushed by itself: endpoints and routes stand inside them (Istio's `listener_inbound.go`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from reconciler.compile.clusters.pools import HttpOptions, limit, options_of
from reconciler.compile.clusters.subject import Subject
from reconciler.compile.effective import Effective
from reconciler.compile.inbound import Inbound
from reconciler.compile.listeners import Chain
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.tls import MUTUAL_ALPN, Site, downstream
from reconciler.compile.viewer import Viewer
from reconciler.model.gateway import ServerTLS, ServerTLSMode
from reconciler.model.origin import Finding
from reconciler.model.protocol import Protocol
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.secrets import Certificate, Root
from reconciler.model.services import Port

_HTTP_ALPN = ("h2", "http/1.1")
_PLAIN_HTTP = {item.value for item in Protocol if item.is_http}
_NOBODY = Viewer(namespace="")
_MUTUAL = ServerTLS(mode=ServerTLSMode.ISTIO_MUTUAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """How connections get to an application.

    Attributes:
        chains: None if they can't be taken as the policy says; then nothing is opened, least of all without TLS.
        secrets: That the chains refer to.
    """

    chains: tuple[Chain, ...] = ()
    secrets: frozenset[Certificate | Root] = frozenset()
    findings: tuple[Finding, ...] = ()


def served(item: Inbound, prototypes: Prototypes, *, site: Site) -> Served:
    """The chains of an inbound listener.

    Where the policy says nothing of TLS and the proxy has a certificate of its own, callers of the mesh may come by mutual TLS
    (`ISTIO_MUTUAL`, told apart by its ALPN) and all others as they are: Istio's permissive mode.
    """
    chain = Chain(routes=_routes(item, prototypes)) if item.is_http else Chain(tcp=_passed_on(item))
    applications = _HTTP_ALPN if item.is_http else ()
    if item.tls is None:
        secured = downstream(_MUTUAL, site=site, applications=applications)
        if secured is None:
            return Served(chains=(chain,))
        mutual = replace(chain, transport="tls", applications=(MUTUAL_ALPN,), transport_socket=secured.socket)
        return Served(chains=(mutual, chain), secrets=secured.secrets)
    if item.tls.mode is ServerTLSMode.PASSTHROUGH:
        return Served(chains=(chain,))
    secured = downstream(item.tls, site=site, applications=applications)
    if secured is None:
        return Served(findings=(_without_certificate(item),))
    return Served(chains=(replace(chain, transport_socket=secured.socket),), secrets=secured.secrets)


def _passed_on(item: Inbound) -> Any:
    message = TcpProxy(stat_prefix=item.cluster, cluster=item.cluster)
    pool = item.pool.tcp if item.pool else None
    if pool is not None and pool.idle_timeout is not None:
        message.idle_timeout.FromTimedelta(pool.idle_timeout)
    if pool is not None and pool.max_connection_duration is not None:
        message.max_downstream_connection_duration.FromTimedelta(pool.max_connection_duration)
    return message


def _without_certificate(item: Inbound) -> Finding:
    return Finding(
        code="no-certificate",
        message="this listener can't end TLS: no certificate is named for it",
        hint="name one in `tls`, or for ISTIO_MUTUAL certificateChain, privateKey and rootCertificate in `certificates` of the "
        "Proxy or the Mesh",
        origin=item.origin,
        path=(*item.path[:-2], "tls"),
    )


def cluster(item: Inbound, prototypes: Prototypes) -> Resource:
    """The application as a cluster."""
    message = Cluster()
    message.CopyFrom(prototypes.cluster_inbound)
    subject = _subject(item)
    limit(message, subject)
    HttpOptions(prototypes).apply(message, options_of(subject))
    message.name = item.cluster
    message.type = Cluster.STATIC
    message.load_assignment.cluster_name = item.cluster
    address = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address
    place, port = item.application
    if port:
        address.socket_address.address = place
        address.socket_address.port_value = port
    else:
        address.pipe.path = place
    return resource(ResourceType.CLUSTER, message)


def _subject(item: Inbound) -> Subject:
    """The application as something that traffic policies speak of."""
    protocol = Protocol.HTTP if item.is_http and item.protocol not in _PLAIN_HTTP else Protocol(item.protocol)
    return Subject(
        ref=ClusterRef("", item.port),
        service=None,
        port=Port(item.port, "", protocol, item.port),
        rule=None,
        policy=Effective(connection_pool=item.pool),
        viewer=_NOBODY,
        redirected=False,
        domain="",
    )


def _routes(item: Inbound, prototypes: Prototypes) -> Any:
    configuration = RouteConfiguration()
    configuration.CopyFrom(prototypes.route_configuration)
    configuration.name = item.cluster
    host = VirtualHost()
    host.CopyFrom(prototypes.virtual_host)
    host.name = f"inbound|http|{item.port}"
    host.domains.append("*")
    route = Route()
    route.CopyFrom(prototypes.route_inbound)
    route.name = "default"
    route.match.prefix = "/"
    route.route.cluster = item.cluster
    if item.protocol == Protocol.GRPC:
        route.route.ClearField("retry_policy")
    host.routes.append(route)
    configuration.virtual_hosts.append(host)
    return configuration
