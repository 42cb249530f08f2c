"""What RateLimits refer to: their targets and services; and that no two limit the same requests, or mean different things by one name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from reconciler.model.gateway import Gateway
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.ratelimit import GlobalLimit, RateLimit, RateLimitService
from reconciler.model.services import selected
from reconciler.model.virtualservice import VirtualService
from reconciler.model.visibility import visible
from reconciler.policy.findings import LISTED, Report, close
from reconciler.policy.references.index import Index

Limited = tuple[str, object]
"""Something that one RateLimit at most can have for a target."""

Named = tuple[Policy[RateLimit], int, GlobalLimit]
"""A global limit and its place."""


def check_rate_limits(index: Index) -> Iterator[Finding]:
    """Of every RateLimit: its target and its service; and what two of them claim."""
    for policy in index.mesh.rate_limits:
        report = Report(policy.origin)
        _check_workloads(policy, index, report)
        _check_gateway(policy, index, report)
        _check_routes(policy, index, report)
        if policy.spec.global_ is not None:
            _check_service(policy, policy.spec.global_.service, index, report)
        yield from report.findings
    yield from _overlaps(index)
    yield from _unequal(index)


def _check_workloads(policy: Policy[RateLimit], index: Index, report: Report) -> None:
    selector = policy.spec.target.workloads
    if selector is None or index.failed("WorkloadEntry"):
        return
    if not index.workloads(policy.key.namespace, selector):
        message = "the selector matches no WorkloadEntry of its namespace, so nothing is limited"
        hint = "compare it with the labels of your WorkloadEntries"
        report.warning("ref-selector", message, "target", "workloads", hint=hint)


def _check_gateway(policy: Policy[RateLimit], index: Index, report: Report) -> None:
    name = policy.spec.target.gateway
    if not name:
        return
    key = policy.resolve(name)
    gateway = index.gateways.get(key)
    if gateway is None:
        if not index.failed_key("Gateway", key):
            hint = close(name, (item.short() for item in index.gateways)) or "add a Gateway of this name"
            report.error("ref-gateway", f"there is no Gateway {key}", "target", "gateway", hint=hint)
        return
    for other in index.gateways.values():
        for port in sorted(_shared(index, gateway, other)) if other is not gateway else ():
            message = (
                f"Gateway {other.key.short()} has port {port} of the same proxy too, so its requests count as well"
            )
            hint = "give one of the two another port, or let match.authority name the hosts"
            report.warning("ref-shared-port", message, "target", "gateway", hint=hint)


def _shared(index: Index, one: Policy[Gateway], other: Policy[Gateway]) -> set[int]:
    """The ports of plain HTTP that two Gateways have on one proxy."""
    proxies = [item.spec.labels for item in index.mesh.proxies if not item.spec.workload]
    if not any(selected(item, one.spec.selector) and selected(item, other.spec.selector) for item in proxies):
        return set()
    ports = [
        {(server.bind, server.port.number) for server in item.spec.servers if server.port.protocol.is_http}
        for item in (one, other)
    ]
    return {port for _, port in ports[0] & ports[1]}


def _check_routes(policy: Policy[RateLimit], index: Index, report: Report) -> None:
    target = policy.spec.target.virtual_service
    if target is None:
        return
    key, path = policy.resolve(target.name), ("target", "virtualService")
    found = index.virtual_services.get(key)
    if found is None:
        if not index.failed_key("VirtualService", key):
            hint = close(target.name, (item.short() for item in index.virtual_services))
            hint = hint or "add a VirtualService of this name, or write `namespace/name`"
            report.error("ref-route", f"there is no VirtualService {key}", *path, "name", hint=hint)
        return
    names = [rule.name for rule in found.spec.http]
    for position, name in enumerate(target.routes):
        if name not in names:
            known = [item for item in names if item]
            hint = close(name, known) or (f"it has {', '.join(known)}" if known else "give its rules names")
            report.error(
                "ref-route", f"VirtualService {key.short()} has no rule {name}", *path, "routes", position, hint=hint
            )
    _check_rules(policy, found, report)


def _check_rules(policy: Policy[RateLimit], found: Policy[VirtualService], report: Report) -> None:
    """Rules that are another document's, and rules that are several routes in Envoy, each with a count of its own."""
    for number in _rules(policy, found):
        rule = found.spec.http[number]
        words = f"the rule {rule.name}" if rule.name else f"rule {number + 1}"
        if rule.delegate is not None:
            message = f"{words} of {found.key.short()} delegates, so nothing of it is limited"
            report.warning("ref-route", message, "target", "virtualService", hint=f"name {rule.delegate.name} instead")
        elif policy.spec.global_ is not None and (rule.redirect or rule.direct_response):
            message = f"{words} of {found.key.short()} answers by itself, and no rate limit service is asked about that"
            hint = "use local limits, or name the other rules in routes"
            report.warning("ref-route", message, "target", "virtualService", hint=hint)
        elif policy.spec.local and len(rule.match) > 1:
            message = f"{words} of {found.key.short()} has {len(rule.match)} matches, and each has counts of its own"
            hint = "limit the workloads instead, or write one match with a regex"
            report.warning("ref-several-counts", message, "local", hint=hint, key=True)


def _rules(policy: Policy[RateLimit], found: Policy[VirtualService]) -> list[int]:
    target = policy.spec.target.virtual_service
    wanted = target.routes if target else ()
    return [number for number, rule in enumerate(found.spec.http) if not wanted or rule.name in wanted]


def _check_service(policy: Policy[RateLimit], named: RateLimitService, index: Index, report: Report) -> None:
    host = index.host(named.host, policy.key)
    path = ("global", "service")
    service = index.services.get(host)
    if service is None:
        if not index.may_be_service(host):
            listed = index.providers.may_list(host)
            hint = close(host, index.services) or (LISTED if listed else "declare it with a ServiceEntry")
            if listed:
                message = f"no document declares the host {host}; unless a registry lists it, nobody can be asked"
                report.awaiting(host, "ref-host", message, *path, "host", hint=hint)
            else:
                report.error("ref-host", f"no service has the host {host}", *path, "host", hint=hint)
        return
    if not visible(service.export_to, policy.key.namespace):
        message = f"{host} is not exported to namespace {policy.key.namespace}, so nobody there can be asked"
        hint = "let the exportTo of its ServiceEntry name the namespaces of the proxies that ask it"
        report.error("ref-host", message, *path, "host", hint=hint)
    known = ", ".join(f"{port.number} ({port.protocol})" for port in service.ports)
    if named.port is None and len(service.ports) != 1:
        message = f"{host} has several ports, and none is named"
        report.error("ref-port", message, *path, hint=f"write `port: {{number: ...}}`; it has {known}", key=True)
        return
    number = named.port.number if named.port else service.ports[0].number
    port = service.port(number)
    where = (*path, "port", "number") if named.port else (*path, "host")
    if port is None:
        report.error("ref-port", f"{host} has no port {number}", *where, hint=f"it has {known}")
    elif not port.protocol.is_http2:
        message = f"port {number} of {host} speaks {port.protocol}, and rate limit services speak GRPC"
        report.error("ref-port", message, *where, hint="give the port the protocol GRPC in its ServiceEntry")


def _overlaps(index: Index) -> Iterator[Finding]:
    """Targets that two documents have: Envoy would hold to the limits of one."""
    claims: dict[Limited, list[Policy[RateLimit]]] = {}
    for policy in index.mesh.rate_limits:
        for claim in _claims(policy, index):
            claims.setdefault(claim, []).append(policy)
    pairs: dict[tuple[Key, Key], tuple[Policy[RateLimit], Policy[RateLimit]]] = {}
    for policies in claims.values():
        for one, other in combinations(policies, 2):
            pairs.setdefault((one.key, other.key), (one, other))
    for pair in pairs.values():
        for policy, other in (pair, pair[::-1]):
            report = Report(policy.origin)
            message = f"the same requests have another RateLimit: {_where(other, policy)}"
            hint = "write the limits of both into one document, or narrow one of the targets"
            report.error("ref-duplicate-limit", message, "target", hint=hint, key=True)
            yield from report.findings


def _claims(policy: Policy[RateLimit], index: Index) -> Iterator[Limited]:
    target = policy.spec.target
    if target.workloads is not None:
        for workload in index.workloads(policy.key.namespace, target.workloads):
            yield "workload", workload.key
    if target.gateway:
        gateway = index.gateways.get(policy.resolve(target.gateway))
        if gateway is not None:
            yield "gateway", gateway.key
            for other in index.gateways.values():
                for port in _shared(index, gateway, other) if other is not gateway else ():
                    yield "port", (frozenset({gateway.key, other.key}), port)
    if target.virtual_service is not None:
        found = index.virtual_services.get(policy.resolve(target.virtual_service.name))
        if found is not None:
            for number in _rules(policy, found):
                yield "rule", (found.key, number)


def _unequal(index: Index) -> Iterator[Finding]:
    """Limits of one name in one domain that are not the same limit: a rate limit service can have only one of them."""
    known: dict[tuple[str, str], Named] = {}
    for policy in index.mesh.rate_limits:
        limits = policy.spec.global_
        for number, item in enumerate(limits.limits if limits else ()):
            domain = limits.domain if limits else ""
            mine: Named = (policy, number, item)
            first = known.setdefault((domain, item.name), mine)
            if first[0] is not policy and _meaning(item) != _meaning(first[2]):
                yield from _differs(domain, first, mine)
                yield from _differs(domain, mine, first)


def _differs(domain: str, mine: Named, other: Named) -> Iterator[Finding]:
    policy, number, item = mine
    report = Report(policy.origin)
    message = f"the domain {domain} has another limit {item.name}: {_where(other[0], policy)}"
    hint = "give it another name, or the same requests, unit and by"
    report.error("ref-duplicate-limit", message, "global", "limits", number, "name", hint=hint)
    yield from report.findings


def _meaning(item: GlobalLimit) -> tuple[object, ...]:
    return (item.entries, item.requests, item.unit)


def _where(other: Policy[RateLimit], policy: Policy[RateLimit]) -> str:
    where = f"RateLimit {other.key.short()} in {other.origin.file}"
    return f"{where}, document {other.origin.document + 1}" if other.origin.file == policy.origin.file else where
