"""Rules for one Sidecar, by Istio's `ValidateSidecar`."""

from __future__ import annotations

from reconciler.model.gateway import ServerTLS, ServerTLSMode
from reconciler.model.hosts import is_address
from reconciler.model.sidecar import (
    EgressListener,
    IngressListener,
    OutboundTrafficPolicy,
    Sidecar,
    SidecarProtocol,
    TrafficMode,
)
from reconciler.policy.checks.destinations import check_destination
from reconciler.policy.checks.formats import NAME_HINT, endpoint, is_port_name, scoped_host_problem, socket_problem
from reconciler.policy.checks.pools import check_pool
from reconciler.policy.checks.servertls import SECRETS, check_server_tls
from reconciler.policy.checks.shared import check_bind, check_selector, idle, unique
from reconciler.policy.findings import Report

_NAMESPACES = frozenset({"*", ".", "~"})
_LOOPBACK = ("127.0.0.1", "0.0.0.0", "::1", "::")  # noqa: S104 -- what may be written, not what is bound
_TLS = frozenset({SidecarProtocol.HTTPS, SidecarProtocol.TLS})
_HTTP = frozenset({SidecarProtocol.HTTP, SidecarProtocol.HTTP2, SidecarProtocol.GRPC, SidecarProtocol.GRPC_WEB})


def check_sidecar(spec: Sidecar, namespace: str, report: Report) -> None:
    """Listeners in both directions; a Sidecar that says nothing is a mistake."""
    if spec.workload_selector is not None:
        check_selector(spec.workload_selector.labels, report, "workloadSelector", "labels")
    if not (spec.ingress or spec.egress or spec.outbound_traffic_policy or spec.inbound_connection_pool):
        message = "a Sidecar needs ingress or egress listeners, or a policy"
        report.error("missing-field", message, "egress", hint='write `egress: [{hosts: ["*/*"]}]` for the default')
    if spec.ingress and spec.workload_selector is None:
        message = "ingress listeners belong to certain workloads, and there is no workloadSelector"
        report.error("missing-field", message, "ingress", hint="add `workloadSelector: {labels: ...}`", key=True)
    for index, listener in enumerate(spec.ingress):
        _check_ingress(listener, report.below("ingress", index))
    ports = [(item.port.number, ("ingress", index, "port", "number")) for index, item in enumerate(spec.ingress)]
    unique(report, "the port", ports)
    if spec.inbound_connection_pool is not None:
        check_pool(spec.inbound_connection_pool, report.below("inboundConnectionPool"))
    for index, outbound in enumerate(spec.egress):
        _check_egress(outbound, namespace, report.below("egress", index))
        if outbound.port is None and index < len(spec.egress) - 1:
            message = "only the last egress listener can be without a port: it stands for all other ports"
            report.error("value", message, "egress", index, hint="move it to the end, or give it a port")
    numbers = [
        (item.port.number if item.port else None, ("egress", index, "port")) for index, item in enumerate(spec.egress)
    ]
    unique(report, "the port", numbers)
    if spec.outbound_traffic_policy is not None:
        check_outbound_policy(spec.outbound_traffic_policy, report.below("outboundTrafficPolicy"))


def check_outbound_policy(policy: OutboundTrafficPolicy, report: Report) -> None:
    """An egress proxy with its port, and only where other traffic is allowed; the report's paths begin at the policy."""
    proxy = policy.egress_proxy
    if proxy is None:
        return
    if policy.mode is not TrafficMode.ALLOW_ANY:
        message = f"an egress proxy gets what {policy.mode} forbids"
        report.error("one-of", message, "egressProxy", hint="write mode ALLOW_ANY, or remove it", key=True)
    check_destination(proxy, report, "egressProxy")
    if proxy.port is None:
        message = "an egress proxy needs its port"
        report.error("missing-field", message, "egressProxy", "port", hint="write `port: {number: ...}`")


def _check_ingress(listener: IngressListener, report: Report) -> None:
    check_bind(listener.bind, report, "bind")
    _check_port_name(listener.port.name, report)
    if listener.port.protocol is SidecarProtocol.HTTP_PROXY:
        message = "HTTP_PROXY is for egress listeners: an ingress listener has one application behind it"
        report.error("value", message, "port", "protocol", hint="write HTTP, HTTP2 or GRPC")
    if listener.default_endpoint:
        _check_endpoint(listener.default_endpoint, report)
    if listener.tls is not None:
        _check_tls(listener.tls, report.below("tls"))
        if listener.port.protocol not in _TLS:
            message = f"{listener.port.protocol} is without TLS, so there can't be tls"
            report.error("one-of", message, "tls", hint="write the protocol HTTPS or TLS, or remove tls", key=True)
    if listener.connection_pool is not None:
        check_pool(listener.connection_pool, report.below("connectionPool"))
        if listener.connection_pool.http is not None and listener.port.protocol not in _HTTP | _TLS:
            message = f"{listener.port.protocol} has no requests, so only the tcp limits hold"
            idle(report, message, "connectionPool", "http")


def _check_endpoint(text: str, report: Report) -> None:
    if text.startswith("unix://"):
        problem = socket_problem(text)
        if problem:
            report.error("address", problem, "defaultEndpoint", hint="write it like unix:///run/app.sock")
        return
    found = endpoint(text)
    if found is None or found[0] not in _LOOPBACK:
        message = f"{text!r} is not where an application beside its sidecar can be"
        hint = "write 127.0.0.1:PORT, 0.0.0.0:PORT (the workload's own address) or unix:///path"
        report.error("address", message, "defaultEndpoint", hint=hint)


def _check_tls(tls: ServerTLS, report: Report) -> None:
    refused = [field for name, field in SECRETS.items() if getattr(tls, name)]
    refused += ["subjectAltNames"] if tls.subject_alt_names else []
    refused += ["httpsRedirect"] if tls.https_redirect else []
    for field in refused:
        message = f"a sidecar's listener can't have {field}, as in Istio"
        report.error("value", message, field, hint="name the files with serverCertificate and privateKey", key=True)
    if tls.mode in {ServerTLSMode.ISTIO_MUTUAL, ServerTLSMode.PASSTHROUGH}:
        message = f"a sidecar's listener can't have tls of mode {tls.mode}"
        report.error("value", message, "mode", hint="write `mode: SIMPLE` or MUTUAL")
    elif not refused:
        check_server_tls(tls, report)


def _check_egress(listener: EgressListener, namespace: str, report: Report) -> None:
    check_bind(listener.bind, report, "bind")
    if listener.port is None:
        if is_address(listener.bind):
            message = "a listener without a port can't bind an address"
            report.error("one-of", message, "bind", hint="add a port, or remove bind", key=True)
    else:
        _check_port_name(listener.port.name, report)
    if not listener.hosts:
        message = "an egress listener needs at least one host"
        report.error("missing-field", message, "hosts", hint='write `hosts: ["~/*"]` for none, ["*/*"] for all')
    seen: list[tuple[str, str]] = []
    for index, text in enumerate(listener.hosts):
        problem = scoped_host_problem(text, namespaces=_NAMESPACES)
        if problem:
            hint = "write it like ./reviews.default.svc.cluster.local, */* or ~/*"
            report.error("host", problem, "hosts", index, hint=hint)
            continue
        owner, _, host = text.partition("/")
        owner = namespace if owner == "." else owner
        if any(name in {"*", owner} and other in {"*", host} for name, other in seen):
            message = f"{text} is covered by an earlier host already"
            report.warning("no-effect", message, "hosts", index, hint="keep one of them")
        seen.append((owner, host))


def _check_port_name(name: str, report: Report) -> None:
    if name and not is_port_name(name):
        report.error("name", f"{name!r} is not a valid port name", "port", "name", hint=NAME_HINT)
