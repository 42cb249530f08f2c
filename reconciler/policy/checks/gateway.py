"""Rules for one Gateway."""

from __future__ import annotations

from reconciler.model.gateway import Gateway, Server
from reconciler.policy.checks.formats import HOST_HINT, host_problem, is_port_name, scoped_host_problem
from reconciler.policy.checks.shared import check_bind, check_labels, unique
from reconciler.policy.findings import Report


def check_gateway(spec: Gateway, report: Report) -> None:
    """Servers with unique port names, and hosts by full name: a gateway has no namespace that a short name could mean."""
    if not spec.servers:
        report.error("missing-field", "a Gateway needs at least one server", "servers")
    check_labels(spec.selector, report, "selector")
    for index, server in enumerate(spec.servers):
        _check_server(server, index, report)
    names = [(server.port.name, ("servers", index, "port", "name")) for index, server in enumerate(spec.servers)]
    unique(report, "the port name", names)
    unique(
        report,
        "the server",
        ((item.name or None, ("servers", index, "name")) for index, item in enumerate(spec.servers)),
    )


def _check_server(server: Server, index: int, report: Report) -> None:
    path = ("servers", index)
    check_bind(server.bind, report, *path, "bind")
    if not is_port_name(server.port.name):
        report.error("name", f"{server.port.name!r} is not a valid port name", *path, "port", "name")
    if not server.hosts:
        message = "a server needs at least one host"
        report.error("missing-field", message, *path, "hosts", hint='write `hosts: ["*"]` for all')
    for position, text in enumerate(server.hosts):
        host = text.partition("/")[2] if "/" in text else text
        problem = scoped_host_problem(text) if "/" in text else host_problem(text)
        if not problem and "." not in host and host != "*":
            problem = f"{host!r} is a short name; a gateway needs full names"
        if problem:
            report.error("host", problem, *path, "hosts", position, hint=HOST_HINT)
    unique(report, "the host", ((host, (*path, "hosts", position)) for position, host in enumerate(server.hosts)))
