"""What selects workloads and proxies by their labels, and what names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.services import selected
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index


def check_workloads(index: Index) -> Iterator[Finding]:
    """Selectors that select nothing, proxies of workloads that aren't there, ports that no service has."""
    if not index.failed("WorkloadEntry"):
        yield from _service_selectors(index)
        yield from _sidecar_selectors(index)
    if index.mesh.proxies and not index.failed("Proxy"):
        yield from _gateway_selectors(index)
    yield from _proxies(index)
    if not index.failed("ServiceEntry"):
        yield from _port_names(index)


def _service_selectors(index: Index) -> Iterator[Finding]:
    for policy in index.mesh.service_entries:
        selector = policy.spec.workload_selector
        if selector is not None and not _any_workload(index, policy.key.namespace, selector.labels):
            yield from _selects_nothing(
                policy.origin, "WorkloadEntry of its namespace", "so the service has no endpoint"
            )


def _sidecar_selectors(index: Index) -> Iterator[Finding]:
    for policy in index.mesh.sidecars:
        selector = policy.spec.workload_selector
        if selector is not None and not _any_workload(index, policy.key.namespace, selector.labels):
            yield from _selects_nothing(policy.origin, "WorkloadEntry of its namespace", "so it applies to no sidecar")


def _gateway_selectors(index: Index) -> Iterator[Finding]:
    gateways = [proxy for proxy in index.mesh.proxies if not proxy.spec.workload]
    for policy in index.mesh.gateways:
        if not any(selected(proxy.spec.labels, policy.spec.selector) for proxy in gateways):
            report = Report(policy.origin)
            message = "the selector matches the labels of no gateway Proxy, so nothing opens these ports"
            report.warning(
                "ref-selector", message, "selector", hint="compare it with the labels of your Proxy documents"
            )
            yield from report.findings


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
    for policy in index.mesh.workload_entries:
        names = {
            port.name
            for entry in index.mesh.service_entries
            if _selects(entry.key.namespace, entry.spec.workload_selector, policy)
            for port in entry.spec.ports
        }
        report = Report(policy.origin)
        for name in policy.spec.ports if names else ():
            if name not in names:
                hint = close(name, names) or f"they have {', '.join(sorted(names))}"
                message = f"no service of this workload has a port named {name}"
                report.warning("ref-port-name", message, "ports", name, hint=hint, key=True)
        yield from report.findings


def _selects(namespace: str, selector: object, workload: Policy[WorkloadEntry]) -> bool:
    labels = getattr(selector, "labels", None)
    return labels is not None and namespace == workload.key.namespace and selected(workload.spec.labels, labels)


def _any_workload(index: Index, namespace: str, labels: Mapping[str, str]) -> bool:
    workloads = (item for item in index.mesh.workload_entries if item.key.namespace == namespace)
    return any(selected(item.spec.labels, labels) for item in workloads)


def _selects_nothing(origin: Any, what: str, effect: str) -> Iterator[Finding]:
    report = Report(origin)
    hint = "compare it with the labels of your WorkloadEntries"
    report.warning("ref-selector", f"the selector matches no {what}, {effect}", "workloadSelector", hint=hint)
    yield from report.findings
