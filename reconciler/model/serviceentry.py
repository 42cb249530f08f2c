"""ServiceEntry and WorkloadEntry: Istio's `networking/v1alpha3/service_entry.proto` and `workload_entry.proto`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.spec import Labels, PortNumber, Spec


class Protocol(StrEnum):
    """What is spoken on a port. Istio's other protocols are refused until they are carried out."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"


class Resolution(StrEnum):
    """How endpoints are found: STATIC, the ones that are written here or selected by labels."""

    STATIC = "STATIC"


class Location(StrEnum):
    """Whether a service belongs to the mesh. Without mutual TLS both behave alike."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class ServicePort(Spec):
    """A port of a service.

    Attributes:
        number: What clients ask for.
        name: Referred to by the `ports` of endpoints.
        protocol: What endpoints speak: `HTTP` is HTTP/1.1, `HTTP2` and `GRPC` are HTTP/2 without an upgrade.
        target_port: What endpoints listen on; the number by default.
    """

    number: PortNumber
    name: Annotated[str, Field(min_length=1)]
    protocol: Protocol = Protocol.HTTP
    target_port: PortNumber | None = None


class WorkloadEntry(Spec):
    """One instance: an endpoint of every service that selects its labels.

    Attributes:
        address: An IP address.
        ports: Port number by service port name, where it is not the service's target port.
        labels: What services, subsets and Sidecars select it by.
        weight: Share of the service's traffic relative to its other endpoints; 0 or absent means 1.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(("network", "locality", "serviceAccount"), "not supported yet")

    address: str = ""
    ports: Mapping[str, PortNumber] = {}
    labels: Labels = {}
    weight: Annotated[int, Field(ge=0, le=4294967295, strict=True)] = 0


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
        ports: At least one.
        location: `MESH_INTERNAL` and `MESH_EXTERNAL` behave alike, as there is no mutual TLS yet.
        resolution: How endpoints are found; `STATIC`, by the addresses that are written.
        endpoints: Instances written in place; excludes `workload_selector`.
        workload_selector: Instances are the WorkloadEntries of the same namespace that carry these labels.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("addresses", "exportTo", "subjectAltNames"), "not supported yet"
    )

    hosts: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Location = Location.MESH_EXTERNAL
    resolution: Resolution
    endpoints: tuple[WorkloadEntry, ...] = ()
    workload_selector: WorkloadSelector | None = None
