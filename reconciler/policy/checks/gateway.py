"""Rules for one Gateway, by Istio's `ValidateGateway`; what its TLS settings say is checked by `servertls`."""

from __future__ import annotations

from reconciler.model.gateway import Gateway, Server, ServerTLSMode
from reconciler.policy.checks.formats import (
    HOST_HINT,
    NAME_HINT,
    full_host_problem,
    is_label,
    is_port_name,
    scoped_host_problem,
)
from reconciler.policy.checks.servertls import check_server_tls
from reconciler.policy.checks.shared import check_bind, check_labels, idle, unique
from reconciler.policy.findings import Report


def check_gateway(spec: Gateway, name: str, report: Report) -> None:
    """Servers with unique port names, and hosts by full name: a gateway has no namespace that a short name could mean."""
    if not is_label(name):
        message = f"{name!r} is not a valid name for a Gateway: VirtualServices could not refer to it"
        report.at("metadata").error("name", message, "name", hint=NAME_HINT)
    if not spec.servers:
        report.error("missing-field", "a Gateway needs at least one server", "servers", hint="add `servers: [...]`")
    check_labels(spec.selector, report, "selector")
    for index, server in enumerate(spec.servers):
        _check_server(server, report.below("servers", index))
    for what, values in (
        ("the port name", [(server.port.name, ("port", "name")) for server in spec.servers]),
        ("the server", [(server.name or None, ("name",)) for server in spec.servers]),
    ):
        unique(report, what, ((value, ("servers", index, *path)) for index, (value, path) in enumerate(values)))
    _check_claims(spec, report)


def _check_server(server: Server, report: Report) -> None:
    check_bind(server.bind, report, "bind")
    if not is_port_name(server.port.name):
        report.error("name", f"{server.port.name!r} is not a valid port name", "port", "name", hint=NAME_HINT)
    if not server.hosts:
        message = "a server needs at least one host"
        report.error("missing-field", message, "hosts", hint='write `hosts: ["*"]` for all')
    for position, text in enumerate(server.hosts):
        problem = scoped_host_problem(text, address=True) if "/" in text else full_host_problem(text, address=True)
        if problem:
            report.error("host", problem, "hosts", position, hint=HOST_HINT)
    unique(report, "the host", ((host, ("hosts", position)) for position, host in enumerate(server.hosts)))
    _check_tls(server, report)


def _check_tls(server: Server, report: Report) -> None:
    protocol, tls = server.port.protocol, server.tls
    if protocol.is_tls and tls is None:
        hint = "add `tls: {mode: SIMPLE, credentialName: ...}`, or PASSTHROUGH"
        report.error("missing-field", f"{protocol} needs tls", "tls", hint=hint)
    if tls is None:
        return
    if protocol.is_tls:
        check_server_tls(tls, report.below("tls"))
        if tls.https_redirect:
            message = f"httpsRedirect is for HTTP servers; this one speaks {protocol}"
            idle(report, message, "tls", "httpsRedirect", hint="move it to the server on port 80")
    elif not protocol.is_http:
        message = f"{protocol} is without TLS, so there can't be tls"
        report.error("one-of", message, "tls", hint="write the protocol TLS, or remove tls", key=True)
    elif tls.mode is not ServerTLSMode.PASSTHROUGH or set(tls.model_fields_set) - {"https_redirect", "mode"}:
        message = f"{protocol} is without TLS, so tls can say httpsRedirect only"
        report.error("one-of", message, "tls", hint="write the protocol HTTPS, or keep httpsRedirect alone", key=True)
    elif not tls.https_redirect:
        idle(report, f"{protocol} is without TLS, so tls changes nothing", "tls")


def _check_claims(spec: Gateway, report: Report) -> None:
    """Two servers of one port can't take the same host: Istio drops the later one."""
    claims = [
        ((server.bind, server.port.number, host.rpartition("/")[2]), ("servers", index, "hosts", position))
        for index, server in enumerate(spec.servers)
        for position, host in enumerate(dict.fromkeys(server.hosts))
        if server.port.protocol.is_tls
    ]
    seen: dict[tuple[str, int, str], int] = {}
    for claim, path in claims:
        index = int(path[1])
        if seen.setdefault(claim, index) != index:
            message = f"another server takes {claim[2]} on port {claim[1]} already"
            report.error("duplicate-value", message, *path, hint="give it another port or host")
