"""Gateway and Sidecar: which listeners a proxy opens. Istio's `gateway.proto` and `sidecar.proto`, as far as carried out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.serviceentry import WorkloadSelector
from reconciler.model.spec import Labels, PortNumber, Spec


class ServerProtocol(StrEnum):
    """What a gateway server speaks."""

    HTTP = "HTTP"


class ServerPort(Spec):
    """The port a gateway server listens on.

    Attributes:
        number: What the listener binds.
        protocol: `HTTP`; HTTP/2 is taken too from clients that begin with it.
        name: Unique in the Gateway.
    """

    refused: ClassVar[Mapping[str, str]] = {"targetPort": "Istio ignores it; the listener binds `number`"}

    number: PortNumber
    protocol: ServerProtocol
    name: Annotated[str, Field(min_length=1)]


class Server(Spec):
    """One listener of a gateway, for some hosts.

    Attributes:
        port: Where it listens.
        bind: Address to listen on; all of them by default.
        hosts: `host`, `namespace/host`, `*/host` or `./host`; the namespace is the VirtualService's.
        name: Unique in the Gateway; for readers.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "tls": "TLS is not supported yet",
        "defaultEndpoint": "Istio ignores it",
    }

    port: ServerPort
    bind: str = ""
    hosts: tuple[str, ...] = ()
    name: str = ""


class Gateway(Spec):
    """Listeners at the edge.

    Attributes:
        servers: Ports and the hosts that are served there.
        selector: Labels of the Proxies that open these listeners; empty selects every gateway proxy.
    """

    servers: tuple[Server, ...] = ()
    selector: Labels = {}


class CaptureMode(StrEnum):
    """How traffic reaches a listener; both mean the real port while `Mesh.interception` is NONE."""

    DEFAULT = "DEFAULT"
    NONE = "NONE"


class SidecarProtocol(StrEnum):
    """HTTP routes by Host among services of the listener's port; HTTP_PROXY among all, by Host and port."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    HTTP_PROXY = "HTTP_PROXY"


class SidecarPort(Spec):
    """The port of a sidecar's listener.

    Attributes:
        number: What the listener binds.
        protocol: What is spoken on it; `HTTP_PROXY` (egress only) routes among all services by Host and port.
        name: For readers.
    """

    refused: ClassVar[Mapping[str, str]] = {"targetPort": "Istio ignores it"}

    number: PortNumber
    protocol: SidecarProtocol = SidecarProtocol.HTTP
    name: str = ""


class IngressListener(Spec):
    """An inbound listener.

    Attributes:
        port: The workload's endpoint port that callers use.
        bind: Address to listen on; the workload's by default.
        capture_mode: Both mean the real port while `Mesh.interception` is NONE.
        default_endpoint: The application: `127.0.0.1:port`, `0.0.0.0:port` (the workload's address) or `unix:///path`.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(("tls", "connectionPool"), "not supported yet")

    port: SidecarPort
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    default_endpoint: Annotated[str, Field(min_length=1)]


class EgressListener(Spec):
    """An outbound listener, or, without a port, the scope of all default ones.

    Attributes:
        port: Without one (the last listener only), the scope of all default listeners.
        bind: Address to listen on; 127.0.0.1 by default.
        capture_mode: Both mean the real port while `Mesh.interception` is NONE.
        hosts: `namespace/host`, with `*`, `.` (own namespace) or `~` (none) for the namespace and wildcards for the host.
    """

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    hosts: tuple[str, ...] = ()


class Sidecar(Spec):
    """Scope and listeners of the sidecars of some workloads, or, without a selector, of a namespace.

    Attributes:
        workload_selector: The workloads of this namespace that it is for; without one, all that no other Sidecar selects.
        ingress: Inbound listeners; without any, one for each endpoint port of the workload. Needs the selector.
        egress: Outbound listeners; without any, one for each service port of the whole mesh.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("inboundConnectionPool", "outboundTrafficPolicy"), "not supported yet"
    )

    workload_selector: WorkloadSelector | None = None
    ingress: tuple[IngressListener, ...] = ()
    egress: tuple[EgressListener, ...] = ()
