"""Rules for one ServiceEntry or WorkloadEntry."""

from __future__ import annotations

from reconciler.model.hosts import is_address
from reconciler.model.serviceentry import ServiceEntry, WorkloadEntry
from reconciler.policy.checks.formats import HOST_HINT, NAME_HINT, host_problem, is_port_name
from reconciler.policy.checks.shared import check_labels, unique
from reconciler.policy.findings import Report, close


def check_service_entry(spec: ServiceEntry, report: Report) -> None:
    """Hosts, ports, and where the endpoints come from."""
    if not spec.hosts:
        report.error("missing-field", "a ServiceEntry needs at least one host", "hosts")
    for index, host in enumerate(spec.hosts):
        problem = host_problem(host, alone=False)
        if problem:
            report.error("host", problem, "hosts", index, hint=HOST_HINT)
    unique(report, "the host", ((host, ("hosts", index)) for index, host in enumerate(spec.hosts)))
    _check_ports(spec, report)
    if spec.workload_selector is not None:
        check_labels(spec.workload_selector.labels, report, "workloadSelector", "labels")
        if spec.endpoints:
            message = "only one of endpoints and workloadSelector can be set"
            report.error("one-of", message, "endpoints", key=True, hint="remove one of the two")
    elif not spec.endpoints:
        message = "a ServiceEntry with resolution STATIC needs endpoints or a workloadSelector"
        report.error("missing-field", message, "endpoints", hint="add `workloadSelector: {labels: ...}` or endpoints")
    names = [port.name for port in spec.ports]
    for index, entry in enumerate(spec.endpoints):
        _check_workload(entry, report, "endpoints", index)
        for name in entry.ports:
            if name not in names:
                hint = close(name, names) or f"its ports are {', '.join(names)}"
                report.error(
                    "value", f"the service has no port named {name}", "endpoints", index, "ports", name, hint=hint
                )


def check_workload_entry(spec: WorkloadEntry, report: Report) -> None:
    """Address, ports and labels."""
    _check_workload(spec, report)


def _check_ports(spec: ServiceEntry, report: Report) -> None:
    if not spec.ports:
        report.error("missing-field", "a ServiceEntry needs at least one port", "ports")
    for index, port in enumerate(spec.ports):
        _check_port_name(port.name, report, "ports", index, "name")
    unique(report, "the port name", ((port.name, ("ports", index, "name")) for index, port in enumerate(spec.ports)))
    unique(report, "the port", ((port.number, ("ports", index, "number")) for index, port in enumerate(spec.ports)))


def _check_workload(spec: WorkloadEntry, report: Report, *path: str | int) -> None:
    if not spec.address:
        report.error("missing-field", "address is required", *path, "address", hint="an IP address")
    elif not is_address(spec.address):
        message = f"{spec.address!r} is not an IP address"
        report.error("address", message, *path, "address", hint="names and sockets as addresses are not supported yet")
    for name in spec.ports:
        _check_port_name(name, report, *path, "ports", name)
    check_labels(spec.labels, report, *path, "labels")


def _check_port_name(name: str, report: Report, *path: str | int) -> None:
    if not is_port_name(name):
        report.error("name", f"{name!r} is not a valid port name", *path, hint=NAME_HINT)
