"""Rules for one DestinationRule."""

from __future__ import annotations

from reconciler.model.destinationrule import DestinationRule
from reconciler.policy.checks.formats import HOST_HINT, NAME_HINT, host_problem, is_label
from reconciler.policy.checks.shared import check_labels, unique
from reconciler.policy.findings import Report


def check_destination_rule(spec: DestinationRule, report: Report) -> None:
    """Host, and subsets with unique names; a subset without labels is every endpoint, as in Istio."""
    problem = host_problem(spec.host)
    if problem:
        report.error("host", problem, "host", hint=HOST_HINT)
    unique(report, "the subset", ((item.name, ("subsets", index, "name")) for index, item in enumerate(spec.subsets)))
    for index, subset in enumerate(spec.subsets):
        if not is_label(subset.name):
            message = f"{subset.name!r} is not a valid subset name"
            report.error("name", message, "subsets", index, "name", hint=NAME_HINT)
        check_labels(subset.labels, report, "subsets", index, "labels")
