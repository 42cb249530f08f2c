"""Rules for one ServiceEntry or WorkloadEntry, by Istio's CRDs and `ValidateServiceEntry`."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.hosts import is_address
from reconciler.model.serviceentry import Resolution, ServiceEntry, ServicePort, WorkloadEntry
from reconciler.policy.checks.formats import (
    HOST_HINT,
    NAME_HINT,
    host_problem,
    is_name,
    is_network,
    is_port_name,
    locality_problem,
    socket_problem,
)
from reconciler.policy.checks.shared import at_most, check_export_to, check_labels, check_selector, idle, unique
from reconciler.policy.findings import Report, close

_RESOLVED = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})
_MAX_ITEMS = 256
_MAX_ENDPOINTS = 4096
_MAX_PORTS = 128
_MAX_ADDRESS = 256
_MAX_ACCOUNT = 253


def check_service_entry(spec: ServiceEntry, namespace: str, report: Report) -> None:
    """Hosts, addresses, ports, and where the endpoints come from."""
    _check_hosts(spec, report)
    _check_addresses(spec, report)
    _check_ports(spec, report)
    if spec.workload_selector is not None:
        check_selector(spec.workload_selector.labels, report, "workloadSelector", "labels")
        if "endpoints" in spec.model_fields_set:
            message = "only one of endpoints and workloadSelector can be set"
            report.error("one-of", message, "endpoints", key=True, hint="remove one of the two")
    _check_resolution(spec, report)
    at_most(report, _MAX_ENDPOINTS, spec.endpoints, "endpoints", "endpoints")
    names = [port.name for port in spec.ports]
    for index, entry in enumerate(spec.endpoints):
        _check_endpoint(entry, spec, names, report.below("endpoints", index))
    check_export_to(spec.export_to, namespace, report, nobody=True)


def check_workload_entry(spec: WorkloadEntry, report: Report) -> None:
    """Address, ports, labels and locality; the report's paths begin at the entry."""
    if not spec.address:
        report.error("missing-field", "address is required", "address", hint="an IP address, a host or unix:///path")
    elif spec.address.startswith("unix://"):
        _check_socket(spec, report)
    elif not is_address(spec.address) and host_problem(spec.address, wildcard=False):
        message = f"{spec.address!r} is neither an IP address nor a host name"
        report.error(
            "address", message, "address", hint="write it like 10.0.0.1, db.example.com or unix:///run/db.sock"
        )
    at_most(report, _MAX_ADDRESS, spec.address, "characters", "address")
    at_most(report, _MAX_PORTS, spec.ports, "ports", "ports")
    for name in spec.ports:
        check_port_name(name, report, "ports", name)
    at_most(report, _MAX_ITEMS, spec.labels, "labels", "labels")
    check_labels(spec.labels, report, "labels")
    problem = locality_problem(spec.locality) if spec.locality else ""
    if problem:
        report.error("value", problem, "locality", hint="write it like us-west/zone1/rack2, or less of it")
    if spec.service_account and not (is_name(spec.service_account) and len(spec.service_account) <= _MAX_ACCOUNT):
        message = f"{spec.service_account!r} is not a valid name"
        report.error("name", message, "serviceAccount", hint=NAME_HINT)


def _check_socket(spec: WorkloadEntry, report: Report) -> None:
    problem = socket_problem(spec.address)
    if problem:
        hint = "write it like unix:///run/app.sock, or unix://@name for an abstract one"
        report.error("address", problem, "address", hint=hint)
    if "ports" in spec.model_fields_set:
        message = "a socket has no ports"
        report.error("one-of", message, "ports", hint="remove ports", key=True)


def _check_hosts(spec: ServiceEntry, report: Report) -> None:
    if not spec.hosts:
        report.error("missing-field", "a ServiceEntry needs at least one host", "hosts", hint="add `hosts: [...]`")
    at_most(report, _MAX_ITEMS, spec.hosts, "hosts", "hosts")
    partial = not any(port.protocol.is_tls for port in spec.ports)
    for index, host in enumerate(spec.hosts):
        problem = host_problem(host, alone=False, partial=partial)
        if problem:
            report.error("host", problem, "hosts", index, hint=HOST_HINT)
    unique(report, "the host", ((host, ("hosts", index)) for index, host in enumerate(spec.hosts)))
    if len(spec.hosts) > 1 and spec.resolution is not Resolution.NONE:
        for index, port in enumerate(spec.ports):
            if not port.protocol.is_http and not port.protocol.is_tls:
                message = f"{port.protocol} has no host name, so a {port.protocol} port can't serve several hosts"
                report.error("value", message, "ports", index, hint="make a ServiceEntry of each host")
                break


def _check_addresses(spec: ServiceEntry, report: Report) -> None:
    at_most(report, _MAX_ITEMS, spec.addresses, "addresses", "addresses")
    for index, address in enumerate(spec.addresses):
        if not is_network(address):
            message = f"{address!r} is neither an address nor a block of them"
            report.error("address", message, "addresses", index, hint="write it like 10.0.0.1 or 10.0.0.0/8")
        elif "/" in address and spec.resolution not in {Resolution.NONE, Resolution.STATIC}:
            message = f"a block of addresses can't be resolved by {spec.resolution}"
            report.error("value", message, "addresses", index, hint="write resolution NONE or STATIC, or an address")
    unique(report, "the address", ((item, ("addresses", index)) for index, item in enumerate(spec.addresses)))


def _check_ports(spec: ServiceEntry, report: Report) -> None:
    at_most(report, _MAX_ITEMS, spec.ports, "ports", "ports")
    if not spec.ports:
        idle(report, "a ServiceEntry without ports is a name without traffic", "hosts", hint="add `ports: [...]`")
    check_ports(spec.ports, report)
    for index, port in enumerate(spec.ports):
        if port.target_port is not None and spec.resolution is Resolution.NONE and port.target_port != port.number:
            message = "with resolution NONE, requests go to the port that was asked for"
            idle(report, message, "ports", index, "targetPort")


def check_ports(ports: Sequence[ServicePort], report: Report) -> None:
    """Names that can be used, and each name and number once; they stand at `ports` of the report's own path."""
    for index, port in enumerate(ports):
        check_port_name(port.name, report, "ports", index, "name")
    unique(report, "the port name", ((port.name, ("ports", index, "name")) for index, port in enumerate(ports)))
    unique(report, "the port", ((port.number, ("ports", index, "number")) for index, port in enumerate(ports)))


def _check_resolution(spec: ServiceEntry, report: Report) -> None:
    resolution = spec.resolution
    if resolution is Resolution.STATIC:
        if not spec.endpoints and spec.workload_selector is None:
            message = "the service has no endpoints, so its requests are answered with 503"
            hint = "add endpoints or `workloadSelector: {labels: ...}`, name a registry that lists its host in Mesh.discovery, or take another resolution"
            report.warning("no-endpoints", message, "resolution", hint=hint)
    elif resolution is Resolution.NONE and spec.workload_selector is not None:
        message = "with resolution NONE, requests go to the address that was asked for, and not to workloads"
        idle(report, message, "workloadSelector", hint="write resolution STATIC, or remove it")
    if resolution is Resolution.NONE and "endpoints" in spec.model_fields_set:
        message = "with resolution NONE, requests go to the address that was asked for, and not to endpoints"
        report.error("one-of", message, "endpoints", hint="write resolution STATIC or DNS, or remove them", key=True)
    if resolution is Resolution.DNS_ROUND_ROBIN and len(spec.endpoints) > 1:
        message = "DNS_ROUND_ROBIN takes one endpoint at most"
        report.error("value", message, "endpoints", 1, hint="write resolution DNS for several")
    for index, host in enumerate(spec.hosts):
        if resolution in _RESOLVED and not spec.endpoints and host.startswith("*") and host != "*":
            message = f"{host} can't be resolved, and there are no endpoints"
            report.error("host", message, "hosts", index, hint="add endpoints, or write resolution DYNAMIC_DNS or NONE")
    if resolution is Resolution.DYNAMIC_DNS:
        _check_dynamic(spec, report)


def _check_dynamic(spec: ServiceEntry, report: Report) -> None:
    """Names are resolved as they are asked for, so each request has to carry one (Envoy's dynamic forward proxy)."""
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            message = f"DYNAMIC_DNS is for wildcards, and {host} is none"
            report.error("host", message, "hosts", index, hint="write resolution DNS for it")
    for field, given in (("endpoints", spec.endpoints), ("workloadSelector", spec.workload_selector)):
        if given:
            message = f"DYNAMIC_DNS resolves what is asked for, so it has no {field}"
            report.error("one-of", message, field, hint="write resolution DNS, or remove it", key=True)
    for index, port in enumerate(spec.ports):
        if not port.protocol.is_http and not port.protocol.is_tls:
            message = f"{port.protocol} carries no name that could be resolved"
            report.error("value", message, "ports", index, "protocol", hint="write HTTP or TLS, or resolution NONE")


def _check_endpoint(entry: WorkloadEntry, spec: ServiceEntry, names: list[str], report: Report) -> None:
    check_workload_entry(entry, report)
    for name in entry.ports:
        if name not in names and is_port_name(name):
            hint = close(name, names) or f"its ports are {', '.join(names)}"
            report.error("value", f"the service has no port named {name}", "ports", name, hint=hint)
    socket, named = entry.address.startswith("unix://"), not is_address(entry.address)
    if socket and spec.resolution in _RESOLVED:
        message = "a socket can't be resolved"
        report.error("address", message, "address", hint="write resolution STATIC")
    elif socket and len(spec.ports) != 1:
        message = f"a socket serves one port, and the service has {len(spec.ports)}"
        report.error("value", message, "address", hint="make a ServiceEntry of each port")
    elif named and not socket and entry.address and spec.resolution is Resolution.STATIC:
        message = f"{entry.address!r} is not an IP address, and resolution STATIC resolves nothing"
        report.error("address", message, "address", hint="write resolution DNS")


def check_port_name(name: str, report: Report, *path: str | int) -> None:
    """Note a name that no port can have."""
    if not is_port_name(name):
        report.error("name", f"{name!r} is not a valid port name", *path, hint=NAME_HINT)
