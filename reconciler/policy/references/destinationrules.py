"""Of DestinationRules: endpoints of their subsets, ports of their settings, proxies they select, and each other.

Several rules of one namespace for one host are put together: the first by name goes first, as it does for the compiler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.model.destinationrule import DestinationRule
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Service, selected
from reconciler.model.trafficpolicy import TrafficPolicy
from reconciler.policy.findings import Report
from reconciler.policy.references.claims import other_words, overlap
from reconciler.policy.references.index import Index

_UNLABELLED = frozenset({Resolution.NONE, Resolution.DYNAMIC_DNS})
"""Services whose endpoints are found by what is asked for: labels select nothing there, and leave nothing out."""


def check_destination_rules(index: Index) -> Iterator[Finding]:
    """All of them; a host that no service has is another check's (`hosts`)."""
    groups: dict[tuple[str, str], list[Policy[DestinationRule]]] = {}
    for policy in index.mesh.destination_rules:
        report = Report(policy.origin)
        host = index.host(policy.spec.host, policy.key)
        groups.setdefault((policy.key.namespace, host), []).append(policy)
        service = index.services.get(host)
        if service is not None:
            if not (index.failed("WorkloadEntry") or service.resolution in _UNLABELLED or index.takes(service)):
                _check_subsets(policy, service, report)
            for path, settings in policies(policy.spec):
                _check_ports(settings, service, report.below(*path))
        _check_selector(policy, index, report)
        yield from report.findings
    for (_, host), group in groups.items():
        if len(group) > 1:
            yield from _check_together(host, group)


def policies(spec: DestinationRule) -> Iterator[tuple[FieldPath, TrafficPolicy]]:
    """The traffic policies of a rule and of its subsets, with their paths below `spec`."""
    if spec.traffic_policy is not None:
        yield ("trafficPolicy",), spec.traffic_policy
    for position, subset in enumerate(spec.subsets):
        if subset.traffic_policy is not None:
            yield ("subsets", position, "trafficPolicy"), subset.traffic_policy


def _check_subsets(policy: Policy[DestinationRule], service: Service, report: Report) -> None:
    for position, subset in enumerate(policy.spec.subsets):
        if not any(selected(endpoint.labels, subset.labels) for endpoint in service.endpoints):
            labels = ", ".join(f"{name}={value}" for name, value in subset.labels.items()) or "any labels"
            message = f"the subset {subset.name} selects no endpoint of {service.host} ({labels})"
            hint = "requests to it fail with 503 until there is one"
            report.warning("ref-endpoints", message, "subsets", position, "labels", hint=hint)


def _check_ports(settings: TrafficPolicy, service: Service, report: Report) -> None:
    for position, item in enumerate(settings.port_level_settings):
        if item.port is not None and service.port(item.port.number) is None:
            message = f"{service.host} has no port {item.port.number}, so these settings change nothing"
            hint = f"it has {', '.join(str(port.number) for port in service.ports)}"
            report.warning("ref-port", message, "portLevelSettings", position, "port", "number", hint=hint)


def _check_selector(policy: Policy[DestinationRule], index: Index, report: Report) -> None:
    selector = policy.spec.workload_selector
    if selector is None or not index.peopled or index.carried_in(policy.key.namespace, selector.match_labels):
        return
    message = "the selector matches no workload and no gateway of its namespace, so this rule holds for no proxy"
    hint = "compare it with the labels of your WorkloadEntries and of the Proxies of gateways"
    report.warning("ref-selector", message, "workloadSelector", hint=hint)


def _check_together(host: str, group: Sequence[Policy[DestinationRule]]) -> Iterator[Finding]:
    """What of several rules for one host is not used, since an earlier one says it too."""
    for number, policy in enumerate(group):
        report = Report(policy.origin)
        earlier = [item for item in group[:number] if overlap(item, policy) and _meet(item, policy)]
        speaking = next((item for item in earlier if item.spec.traffic_policy is not None), None)
        if speaking is not None and policy.spec.traffic_policy is not None:
            message = f"{host} has the trafficPolicy of {other_words(speaking, policy)}; this one is not used"
            hint = "keep one of the two; the first by name is used"
            report.warning("ref-duplicate-host", message, "trafficPolicy", hint=hint, key=True)
        for position, subset in enumerate(policy.spec.subsets):
            owner = next((item for item in earlier if any(own.name == subset.name for own in item.spec.subsets)), None)
            if owner is not None:
                message = f"{host} has the subset {subset.name} of {other_words(owner, policy)}; this one is not used"
                hint = "keep one of the two; the first by name is used"
                report.warning("ref-duplicate-host", message, "subsets", position, "name", hint=hint)
        yield from report.findings


def _meet(one: Policy[DestinationRule], other: Policy[DestinationRule]) -> bool:
    """Whether two rules may hold for one proxy: rules that select its workload go before, not beside, those that select nobody."""
    mine, its = one.spec.workload_selector, other.spec.workload_selector
    if mine is None or its is None:
        return mine is its
    return _compatible(mine.match_labels, its.match_labels)


def _compatible(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return all(other.get(name, value) == value for name, value in one.items())
