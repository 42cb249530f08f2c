"""ServiceEntry and WorkloadEntry: Istio's `networking/v1alpha3/service_entry.proto` and `workload_entry.proto`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.protocol import AnyCaseProtocol, Protocol
from reconciler.model.spec import Labels, PortNumber, Spec


class Resolution(StrEnum):
    """How endpoints are found.

    NONE: requests go to the address that the caller asked for. STATIC: the addresses that are written here or selected by
    labels. DNS: every address that the endpoints' names, or else the host, resolve to. DNS_ROUND_ROBIN: the first of them,
    for each new connection. DYNAMIC_DNS: wildcard hosts; what each request asks for is resolved.
    """

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class Location(StrEnum):
    """Whether a service belongs to the mesh."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class ServicePort(Spec):
    """A port of a service.

    Attributes:
        number: What clients ask for.
        name: Referred to by the `ports` of endpoints.
        protocol: What endpoints speak: `HTTP` is HTTP/1.1, `HTTP2` and `GRPC` are HTTP/2 without an upgrade; in any case.
        target_port: What endpoints listen on; the number by default.
    """

    number: PortNumber
    name: Annotated[str, Field(min_length=1)]
    protocol: AnyCaseProtocol = Protocol.HTTP
    target_port: PortNumber | None = None


class WorkloadEntry(Spec):
    """One instance: an endpoint of every service that selects its labels.

    Attributes:
        address: An IP address; a host name in a ServiceEntry of resolution DNS; `unix:///path` for an endpoint of resolution STATIC.
        ports: Port number by service port name, where it is not the service's target port.
        labels: What services, subsets and Sidecars select it by.
        locality: `region/zone/subzone`, for load balancing between localities.
        weight: Share of the service's traffic relative to its other endpoints; 0 or absent means 1.
        service_account: Part of the identity that `ISTIO_MUTUAL` callers expect: `spiffe://<domain>/ns/<namespace>/sa/<account>`.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "network": "endpoints of other networks can't be found by name; write the address at which they are reached"
    }

    address: str = ""
    ports: Mapping[str, PortNumber] = {}
    labels: Labels = {}
    locality: str = ""
    weight: Annotated[int, Field(ge=0, le=4294967295, strict=True)] = 0
    service_account: str = ""


class WorkloadSelector(Spec):
    """Workloads that carry all these labels.

    Attributes:
        labels: All must be carried; none selects every workload of the namespace.
    """

    labels: Labels = {}


class ServiceEntry(Spec):
    """Services by their hosts, with the endpoints behind them.

    Attributes:
        hosts: Full names, or short names of this namespace; a wildcard takes every host under it.
        addresses: Where callers expect the service: IP addresses, or with interception CIDR blocks too. TCP needs one.
        ports: At least one.
        location: Whether it belongs to the mesh.
        resolution: How endpoints are found; `NONE` by default.
        endpoints: Instances written in place; excludes `workload_selector`.
        workload_selector: Instances are the WorkloadEntries of the same namespace that carry these labels.
        export_to: Namespaces whose proxies see it: names, `.` (its own), `*` (all, the default), `~` (none).
        subject_alt_names: Of which the server's certificate must have one, where its DestinationRule says nothing of them.
    """

    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Location = Location.MESH_EXTERNAL
    resolution: Resolution = Resolution.NONE
    endpoints: tuple[WorkloadEntry, ...] = ()
    workload_selector: WorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
