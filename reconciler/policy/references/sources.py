"""Namespaces and labels that documents name to say for whom they are, and that nobody has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.virtualservice import HTTPMatch, L4Match, VirtualService
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index
from reconciler.policy.references.parts import matches

_WORDS = frozenset({".", "*", "~"})


def check_sources(policy: Policy[VirtualService], index: Index, report: Report) -> None:
    """The callers that the matches of a VirtualService ask for; with `gateways`, a match doesn't look at them."""
    for path, match in matches(policy.spec):
        if not match.gateways:
            _check_match(match, index, report.below(*path))


def check_exports(index: Index) -> Iterator[Finding]:
    """Of every `exportTo`: the namespaces that it names."""
    mesh = index.mesh
    exporting: Iterable[Policy[Any]] = (*mesh.virtual_services, *mesh.service_entries, *mesh.destination_rules)
    for policy in exporting:
        if policy.spec.export_to:
            report = Report(policy.origin)
            for position, name in enumerate(policy.spec.export_to):
                if name not in _WORDS:
                    check_namespace(name, index, report.below("exportTo", position))
            yield from report.findings


def check_namespace(name: str, index: Index, report: Report) -> None:
    """One namespace, at the report's own path."""
    if index.namespaces is not None and name not in index.namespaces:
        message = f"no document is in namespace {name}"
        hint = close(name, index.namespaces) or "remove it, or write a namespace that your proxies and services are in"
        report.warning("ref-namespace", message, hint=hint)


def _check_match(match: HTTPMatch | L4Match, index: Index, report: Report) -> None:
    if match.source_namespace:
        check_namespace(match.source_namespace, index, report.below("sourceNamespace"))
    if index.peopled and not index.carried(match.source_labels):
        words = ", ".join(f"{name}={value}" for name, value in match.source_labels.items())
        message = f"no workload and no gateway carries the labels {words}, so this never matches"
        hint = "compare them with the labels of your WorkloadEntries and of the Proxies of gateways"
        report.warning("ref-selector", message, "sourceLabels", hint=hint)
