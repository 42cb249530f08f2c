"""Gateways: the proxies that they select, and servers that two of them want and only one can have.

Where proxies open a Gateway, `compile` says what clashes on each of them; here, what clashes on any.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from reconciler.model.gateway import Gateway, Server, ServerTLSMode
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.services import selected
from reconciler.policy.findings import Report
from reconciler.policy.references.claims import other_words
from reconciler.policy.references.index import Index

_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- compared, not bound


def check_gateways(index: Index) -> Iterator[Finding]:
    """Selectors on both sides, and what clashes."""
    if index.mesh.proxies and not index.failed("Proxy"):
        yield from _selectors(index)
    if not index.failed("Gateway"):
        yield from _unused(index)
    yield from _clashes(index)


def _selectors(index: Index) -> Iterator[Finding]:
    gateways = [proxy for proxy in index.mesh.proxies if not proxy.spec.workload and not proxy.spec.push.proxyless]
    for policy in index.mesh.gateways:
        if not any(selected(proxy.spec.labels, policy.spec.selector) for proxy in gateways):
            report = Report(policy.origin)
            message = "the selector matches the labels of no gateway Proxy, so nothing opens these ports"
            hint = "compare it with the labels of your Proxy documents"
            report.warning("ref-selector", message, "selector", hint=hint)
            yield from report.findings


def _unused(index: Index) -> Iterator[Finding]:
    """Proxies that are configured as gateways, and that no Gateway gives a port."""
    for proxy in index.mesh.proxies:
        if proxy.spec.workload or not proxy.spec.push.whole:
            continue
        if not any(selected(proxy.spec.labels, policy.spec.selector) for policy in index.mesh.gateways):
            report = Report(proxy.origin)
            message = "no Gateway selects this proxy, so it opens no port"
            hint = "compare its labels with the selectors of your Gateways; a sidecar has `workload` instead"
            report.warning("ref-selector", message, "labels", hint=hint)
            yield from report.findings


def _clashes(index: Index) -> Iterator[Finding]:
    taken: dict[Hashable, tuple[Policy[Gateway], bool]] = {}
    for policy in index.mesh.gateways:
        if index.opened_in(policy.key):
            continue
        report = Report(policy.origin)
        for position, server in enumerate(policy.spec.servers):
            bind = "" if server.bind == _ANY_ADDRESS else server.bind
            door = (tuple(sorted(policy.spec.selector.items())), bind, server.port.number)
            http = server.port.protocol.is_http
            for what, path in _claims(server):
                other, shared = taken.setdefault((door, what), (policy, http))
                if other is not policy and not (http and shared):
                    where = other_words(other, policy)
                    message = f"{where} opens port {server.port.number} for {what} on the same proxies"
                    hint = "use another port, other hosts or another selector"
                    report.error("ref-gateway-conflict", message, "servers", position, *path, hint=hint)
        yield from report.findings


def _claims(server: Server) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """What of a port two Gateways can't both have: server names for which TLS ends, and connections without, but for HTTP beside HTTP."""
    tls = server.tls
    if not server.port.protocol.is_tls:
        yield "connections without TLS", ("port",)
    elif tls is not None and tls.mode is not ServerTLSMode.PASSTHROUGH:
        for number, text in enumerate(server.hosts):
            yield f"the server name {text.rpartition('/')[2]}", ("hosts", number)
