"""Sidecar: Istio's `networking/v1alpha3/sidecar.proto`: what a sidecar sees and where it listens."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from reconciler.model.gateway import ServerTLS
from reconciler.model.protocol import any_case
from reconciler.model.serviceentry import WorkloadSelector
from reconciler.model.spec import PortNumber, Spec
from reconciler.model.trafficpolicy import ConnectionPool
from reconciler.model.virtualservice import Destination


class CaptureMode(StrEnum):
    """How traffic reaches a listener.

    DEFAULT is what `Mesh.interception` says. IPTABLES needs interception REDIRECT. NONE: the listener binds its real port.
    """

    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"


class SidecarProtocol(StrEnum):
    """HTTP routes by Host among services of the listener's port; HTTP_PROXY among all, by Host and port.

    HTTPS and TLS route by server name, the others are TCP.
    """

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTP_PROXY = "HTTP_PROXY"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    MONGO = "MONGO"
    MYSQL = "MYSQL"
    REDIS = "REDIS"


class SidecarPort(Spec):
    """The port of a sidecar's listener.

    Attributes:
        number: What the listener binds.
        protocol: What is spoken on it; `HTTP_PROXY` (egress only) routes among all services by Host and port.
        name: For readers.
    """

    refused: ClassVar[Mapping[str, str]] = {"targetPort": "Istio ignores it"}

    number: PortNumber
    protocol: Annotated[SidecarProtocol, BeforeValidator(any_case)] = SidecarProtocol.HTTP
    name: str = ""


class IngressListener(Spec):
    """An inbound listener.

    Attributes:
        port: The workload's endpoint port that callers use.
        bind: Address to listen on; the workload's by default.
        capture_mode: How traffic reaches it.
        default_endpoint: The application: `127.0.0.1:port`, `0.0.0.0:port` (the workload's address) or `unix:///path`; the
            endpoint port on loopback by default.
        tls: TLS that the sidecar ends, for a port of protocol HTTPS or TLS.
        connection_pool: Limits that protect the application.
    """

    port: SidecarPort
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    default_endpoint: str = ""
    tls: ServerTLS | None = None
    connection_pool: ConnectionPool | None = None


class EgressListener(Spec):
    """An outbound listener, or, without a port, the scope of all default ones.

    Attributes:
        port: Without one (the last listener only), the scope of all default listeners.
        bind: Address to listen on; 127.0.0.1 by default.
        capture_mode: How traffic reaches it.
        hosts: `namespace/host`, with `*`, `.` (own namespace) or `~` (none) for the namespace and wildcards for the host.
    """

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    hosts: tuple[str, ...] = ()


class TrafficMode(StrEnum):
    """What happens to traffic for hosts that no service has.

    ALLOW_ANY passes it on to the address that the caller asked for, which needs interception; without, and under
    REGISTRY_ONLY, HTTP is answered with 502 and anything else is closed.
    """

    ALLOW_ANY = "ALLOW_ANY"
    REGISTRY_ONLY = "REGISTRY_ONLY"


class OutboundTrafficPolicy(Spec):
    """Traffic for hosts that no service has.

    Attributes:
        mode: What happens to it.
        egress_proxy: A service that gets all of it; for mode `ALLOW_ANY`.
    """

    mode: TrafficMode = TrafficMode.ALLOW_ANY
    egress_proxy: Destination | None = None


class Sidecar(Spec):
    """Scope and listeners of the sidecars of some workloads, or, without a selector, of a namespace.

    Attributes:
        workload_selector: The workloads of this namespace that it is for; without one, all that no other Sidecar selects.
        ingress: Inbound listeners; without any, one for each endpoint port of the workload. Needs the selector.
        egress: Outbound listeners; without any, one for each service port of the whole mesh.
        inbound_connection_pool: Limits that protect the application, where an ingress listener says nothing.
        outbound_traffic_policy: Traffic for hosts that no service has; as `Mesh` says by default.
    """

    workload_selector: WorkloadSelector | None = None
    ingress: tuple[IngressListener, ...] = ()
    egress: tuple[EgressListener, ...] = ()
    inbound_connection_pool: ConnectionPool | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
