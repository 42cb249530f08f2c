"""Rules for one Sidecar."""

from __future__ import annotations

from reconciler.model.hosts import is_address
from reconciler.model.sidecar import EgressListener, IngressListener, Sidecar, SidecarProtocol
from reconciler.policy.checks.formats import endpoint, fits_socket, is_port_name, scoped_host_problem
from reconciler.policy.checks.shared import check_bind, check_labels, unique
from reconciler.policy.findings import Report

_NAMESPACES = frozenset({"*", ".", "~"})
_LOOPBACK = ("127.0.0.1", "0.0.0.0", "::1", "::")  # noqa: S104 -- what may be written, not what is bound


def check_sidecar(spec: Sidecar, report: Report) -> None:
    """Listeners in both directions; a Sidecar that says nothing is a mistake."""
    if spec.workload_selector is not None:
        check_labels(spec.workload_selector.labels, report, "workloadSelector", "labels")
    if not spec.ingress and not spec.egress:
        message = "a Sidecar needs ingress or egress listeners"
        report.error("missing-field", message, "egress", hint='write `egress: [{hosts: ["*/*"]}]` for the default')
    if spec.ingress and spec.workload_selector is None:
        message = "ingress listeners belong to certain workloads, and there is no workloadSelector"
        report.error("missing-field", message, "ingress", hint="add `workloadSelector: {labels: ...}`", key=True)
    for index, listener in enumerate(spec.ingress):
        _check_ingress(listener, report, "ingress", index)
    ports = [(item.port.number, ("ingress", index, "port", "number")) for index, item in enumerate(spec.ingress)]
    unique(report, "the port", ports)
    for index, outbound in enumerate(spec.egress):
        _check_egress(outbound, report, "egress", index)
        if outbound.port is None and index < len(spec.egress) - 1:
            message = "only the last egress listener can be without a port: it stands for all other ports"
            report.error("value", message, "egress", index, hint="move it to the end, or give it a port")
    numbers = [
        (item.port.number if item.port else None, ("egress", index, "port")) for index, item in enumerate(spec.egress)
    ]
    unique(report, "the port", numbers)


def _check_ingress(listener: IngressListener, report: Report, *path: str | int) -> None:
    check_bind(listener.bind, report, *path, "bind")
    _check_port_name(listener.port.name, report, *path)
    if listener.port.protocol is SidecarProtocol.HTTP_PROXY:
        message = "HTTP_PROXY is for egress listeners: an ingress listener has one application behind it"
        report.error("value", message, *path, "port", "protocol", hint="write HTTP, HTTP2 or GRPC")
    text = listener.default_endpoint
    if text.startswith("unix://"):
        if not text.startswith("unix:///") or text.endswith("/"):
            message = f"{text!r} is not the path of a socket"
            report.error("address", message, *path, "defaultEndpoint", hint="write it like unix:///run/app.sock")
        elif not fits_socket(text.removeprefix("unix://")):
            message = "the path of the socket has more than 107 bytes, which no system takes"
            report.error("address", message, *path, "defaultEndpoint", hint="move the socket to a shorter path")
        return
    found = endpoint(text)
    if found is None or found[0] not in _LOOPBACK:
        message = f"{text!r} is not where an application beside its sidecar can be"
        hint = "write 127.0.0.1:PORT, 0.0.0.0:PORT (the workload's own address) or unix:///path"
        report.error("address", message, *path, "defaultEndpoint", hint=hint)


def _check_egress(listener: EgressListener, report: Report, *path: str | int) -> None:
    if listener.bind.startswith("unix://"):
        message = "listening on Unix sockets is not supported yet"
        report.error("address", message, *path, "bind", hint="write an IP address")
    else:
        check_bind(listener.bind, report, *path, "bind")
    if listener.port is None:
        if is_address(listener.bind):
            message = "a listener without a port can't bind an address"
            report.error("one-of", message, *path, "bind", hint="add a port, or remove bind", key=True)
    else:
        _check_port_name(listener.port.name, report, *path)
    if not listener.hosts:
        message = "an egress listener needs at least one host"
        report.error("missing-field", message, *path, "hosts", hint='write `hosts: ["~/*"]` for none, ["*/*"] for all')
    for index, host in enumerate(listener.hosts):
        problem = scoped_host_problem(host, namespaces=_NAMESPACES)
        if problem:
            hint = "write it like ./reviews.default.svc.cluster.local, */* or ~/*"
            report.error("host", problem, *path, "hosts", index, hint=hint)
    unique(report, "the host", ((host, (*path, "hosts", index)) for index, host in enumerate(listener.hosts)))


def _check_port_name(name: str, report: Report, *path: str | int) -> None:
    if name and not is_port_name(name):
        report.error("name", f"{name!r} is not a valid port name", *path, "port", "name")
