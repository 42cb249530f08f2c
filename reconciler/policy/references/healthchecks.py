"""What HealthChecks refer to: ports and subsets of their services; and that no two claim the same.

A host that no service has is another check's (`hosts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations

from reconciler.model.healthcheck import HealthCheck
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.services import Service
from reconciler.model.visibility import visible
from reconciler.policy.findings import Report, close
from reconciler.policy.references.claims import other_words
from reconciler.policy.references.index import Index

Check = Policy[HealthCheck]


def check_health_checks(index: Index) -> Iterator[Finding]:
    """Of every HealthCheck: its ports and subsets; and what two of them claim."""
    groups: dict[str, list[Check]] = {}
    for policy in index.mesh.health_checks:
        host = index.host(policy.spec.host, policy.key)
        groups.setdefault(host, []).append(policy)
        report = Report(policy.origin)
        service = index.services.get(host)
        if service is not None:
            _check_visibility(policy, service, report)
            _check_ports(policy, service, report)
            _check_host_header(policy, service, report)
        if policy.spec.subsets:
            _check_subsets(policy, host, index, report)
        _check_deadline(policy, index, report)
        yield from report.findings
    for host, group in groups.items():
        yield from _overlaps(host, group)


def _check_visibility(policy: Check, service: Service, report: Report) -> None:
    if not visible(service.export_to, policy.key.namespace):
        message = (
            f"{service.host} is not exported to namespace {policy.key.namespace}, which can't say how it is checked"
        )
        hint = (
            f"move the document to namespace {service.namespace}, or let the exportTo of the ServiceEntry name this one"
        )
        report.error("ref-host", message, "host", hint=hint)


def _check_ports(policy: Check, service: Service, report: Report) -> None:
    for position, number in enumerate(policy.spec.ports):
        if service.port(number) is None:
            known = ", ".join(str(port.number) for port in service.ports)
            message = f"{service.host} has no port {number}"
            report.error("ref-port", message, "ports", position, hint=f"it has {known}")


def _check_host_header(policy: Check, service: Service, report: Report) -> None:
    if policy.spec.http is not None and not policy.spec.http.host and service.host.startswith("*"):
        message = f"{service.host} is no host that can be asked for"
        report.error("missing-field", message, "http", hint="write `host` with one that instances know", key=True)


def _check_subsets(policy: Check, host: str, index: Index, report: Report) -> None:
    if index.may_have_rule(host):
        return
    known = {subset.name for rule in index.rules_for(host) for subset in rule.spec.subsets}
    for position, name in enumerate(policy.spec.subsets):
        if name not in known:
            hint = close(name, known) or (f"there are {', '.join(sorted(known))}" if known else "add a DestinationRule")
            message = f"no DestinationRule gives {host} a subset {name}"
            report.error("ref-subset", message, "subsets", position, hint=hint)


def _check_deadline(policy: Check, index: Index, report: Report) -> None:
    """A changed cluster serves once all instances were checked for the first time (tried on Envoy 1.40), and a push waits for it."""
    first, deadline = (
        policy.spec.timeout + (policy.spec.initial_jitter or timedelta()),
        index.mesh.settings.verify_deadline,
    )
    if first >= deadline:
        message = (
            f"a first check may take {first.total_seconds():g}s, and a push is waited for {deadline.total_seconds():g}s: "
            "while any instance does not answer, every change of its service is late"
        )
        hint = "keep timeout and initialJitter together below verifyDeadline of the Mesh"
        report.warning("ref-deadline", message, "timeout", hint=hint)


def _overlaps(host: str, group: list[Check]) -> Iterator[Finding]:
    """Two documents for the same instances: which of them holds must not hang on their names."""
    for pair in combinations(group, 2):
        shared = _shared(*pair)
        if shared is None:
            continue
        for policy, other in (pair, pair[::-1]):
            report = Report(policy.origin)
            message = f"{shared} of {host} is checked by {other_words(other, policy)} too"
            hint = "keep one of the two, or give each its own ports or subsets"
            report.error("ref-duplicate-check", message, "host", hint=hint)
            yield from report.findings


def _shared(one: Check, other: Check) -> str | None:
    """What two checks both claim, in words; None if nothing."""
    ports = _common(one.spec.ports, other.spec.ports)
    subsets = _common(one.spec.subsets, other.spec.subsets)
    if ports is None or subsets is None:
        return None
    words = [f"port {ports[0]}"] if ports else []
    words += [f"subset {subsets[0]}"] if subsets else []
    return ", ".join(words) or "every port"


def _common(one: tuple[object, ...], other: tuple[object, ...]) -> list[object] | None:
    """What is in both; () is everything. None if there is nothing, and an empty list if it is everything."""
    if not one or not other:
        return [*(one or other)]
    return [item for item in one if item in other] or None
