"""Rules for one DestinationRule; what its policies say is checked by `trafficpolicy`."""

from __future__ import annotations

from reconciler.model.destinationrule import DestinationRule
from reconciler.policy.checks.destinations import SUBSET_HINT
from reconciler.policy.checks.formats import HOST_HINT, host_problem, is_subset_name
from reconciler.policy.checks.shared import check_export_to, check_labels, check_selector, unique
from reconciler.policy.checks.trafficpolicy import check_traffic_policy
from reconciler.policy.findings import Report


def check_destination_rule(spec: DestinationRule, namespace: str, report: Report) -> None:
    """Host, and subsets with unique names; a subset without labels is every endpoint, as in Istio."""
    problem = host_problem(spec.host)
    if problem:
        report.error("host", problem, "host", hint=HOST_HINT)
    policy = spec.traffic_policy
    if policy is not None:
        check_traffic_policy(policy, report.below("trafficPolicy"))
    unique(report, "the subset", ((item.name, ("subsets", index, "name")) for index, item in enumerate(spec.subsets)))
    for index, subset in enumerate(spec.subsets):
        if not is_subset_name(subset.name):
            message = f"{subset.name!r} is not a valid subset name"
            report.error("name", message, "subsets", index, "name", hint=SUBSET_HINT)
        check_labels(subset.labels, report, "subsets", index, "labels")
        if subset.traffic_policy is not None:
            outlier = policy.outlier_detection if policy else None
            check_traffic_policy(
                subset.traffic_policy, report.below("subsets", index, "trafficPolicy"), outlier=outlier
            )
    check_export_to(spec.export_to, namespace, report)
    if spec.workload_selector is not None:
        check_selector(spec.workload_selector.match_labels, report, "workloadSelector", "matchLabels")
        if set(spec.export_to) - {".", namespace}:
            message = "a rule for some workloads of its namespace can't be exported to others"
            report.error(
                "one-of", message, "exportTo", hint="write `exportTo: [.]`, or remove workloadSelector", key=True
            )
