"""What selects workloads and proxies by their labels, and what names them."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding, Origin
from reconciler.model.serviceentry import Resolution, ServiceEntry
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index


def check_workloads(index: Index) -> Iterator[Finding]:
    """Selectors that select nothing, proxies of workloads that aren't there, ports that no service has."""
    if not index.failed("WorkloadEntry"):
        yield from _service_selectors(index)
        yield from _sidecar_selectors(index)
    yield from _proxies(index)
    if not index.failed("ServiceEntry"):
        yield from _port_names(index)


def _service_selectors(index: Index) -> Iterator[Finding]:
    for policy in index.mesh.service_entries:
        selector = policy.spec.workload_selector
        if index.providers.any:
            yield from _without_endpoints(policy, index)
        elif selector is not None and not index.workloads(policy.key.namespace, selector):
            yield from _selects_nothing(
                policy.origin, "WorkloadEntry of its namespace", "so the service has no endpoint"
            )


def _without_endpoints(policy: Policy[ServiceEntry], index: Index) -> Iterator[Finding]:
    """A service that nobody gives endpoints, where registries may: those that list its host, or by a selector any of them."""
    spec = policy.spec
    hosts = [index.host(host, policy.key) for host in spec.hosts]
    given = spec.endpoints or spec.workload_selector is not None or any(map(index.providers.may_list, hosts))
    if spec.resolution is Resolution.STATIC and not given:
        report = Report(policy.origin)
        message = "the service has no endpoints, and no registry lists its hosts, so its requests are answered with 503"
        hint = "add `workloadSelector: {labels: ...}` or endpoints, or let a registry of Mesh.discovery list it"
        report.warning("no-endpoints", message, "resolution", hint=hint)
        yield from report.findings


def _sidecar_selectors(index: Index) -> Iterator[Finding]:
    for policy in index.mesh.sidecars:
        selector = policy.spec.workload_selector
        if selector is not None and not index.workloads(policy.key.namespace, selector):
            yield from _selects_nothing(policy.origin, "WorkloadEntry of its namespace", "so it applies to no sidecar")


def _proxies(index: Index) -> Iterator[Finding]:
    workloads = {policy.key for policy in index.mesh.workload_entries}
    for policy in index.mesh.proxies:
        key = Key(policy.key.namespace, policy.spec.workload)
        if not policy.spec.workload or key in workloads or index.failed_key("WorkloadEntry", key):
            continue
        report = Report(policy.origin)
        near = close(key.name, (item.name for item in workloads if item.namespace == key.namespace))
        hint = near or "add a WorkloadEntry of this name in the proxy's namespace"
        report.error("ref-workload", f"there is no WorkloadEntry {key}", "workload", hint=hint)
        yield from report.findings


def _port_names(index: Index) -> Iterator[Finding]:
    names: dict[Key, set[str]] = {}
    for entry in index.mesh.service_entries:
        for workload in index.workloads(entry.key.namespace, entry.spec.workload_selector):
            names.setdefault(workload.key, set()).update(port.name for port in entry.spec.ports)
    for policy in index.mesh.workload_entries:
        known = names.get(policy.key, set())
        report = Report(policy.origin)
        for name in policy.spec.ports if known else ():
            if name not in known:
                hint = close(name, known) or f"they have {', '.join(sorted(known))}"
                message = f"no service of this workload has a port named {name}"
                report.warning("ref-port-name", message, "ports", name, hint=hint, key=True)
        yield from report.findings


def _selects_nothing(origin: Origin, what: str, effect: str) -> Iterator[Finding]:
    report = Report(origin)
    hint = "compare it with the labels of your WorkloadEntries"
    report.warning("ref-selector", f"the selector matches no {what}, {effect}", "workloadSelector", hint=hint)
    yield from report.findings
