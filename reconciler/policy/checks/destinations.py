"""Rules for destinations, and for the weights of a split."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.virtualservice import Destination, HTTPRouteDestination, RouteDestination
from reconciler.policy.checks.formats import HOST_HINT, host_problem, is_subset_name
from reconciler.policy.findings import Report

FULL_TOTALS = (100, 1_000, 10_000, 100_000)
SUBSET_HINT = "at most 63 letters, digits and '-', beginning and ending with a letter or digit"
_MAX_TOTAL = 2**32 - 1
"""Envoy's limit for the sum of a route's weights."""


def check_destination(destination: Destination, report: Report, *path: str | int) -> None:
    """A host and a subset by their forms. Istio lets wildcards through, which no cluster has as its host."""
    problem = host_problem(destination.host, wildcard=False)
    if problem:
        report.error("host", problem, *path, "host", hint=HOST_HINT)
    if destination.subset and not is_subset_name(destination.subset):
        message = f"{destination.subset!r} is not a valid subset name"
        report.error("name", message, *path, "subset", hint=SUBSET_HINT)


def check_split(split: Sequence[HTTPRouteDestination | RouteDestination], report: Report, *path: str | int) -> None:
    """Destinations, each once, with weights that can be shared out."""
    seen = set()
    for index, share in enumerate(split):
        check_destination(share.destination, report, *path, index, "destination")
        if share.weight < 0:
            message = f"the weight {share.weight} is negative"
            report.error("weight-negative", message, *path, index, "weight", hint="write 0 for no traffic")
        if share.destination in seen:
            where, hint = (*path, index, "destination"), "add the weights together"
            message = "the split has this destination already"
            report.warning("duplicate-destination", message, *where, hint=hint, key=True)
        seen.add(share.destination)
    if len(split) > 1 and all(share.weight >= 0 for share in split):
        _check_total(sum(share.weight for share in split), report, *path)


def _check_total(total: int, report: Report, *path: str | int) -> None:
    if total == 0:
        message = "the weights total 0, so no destination would get traffic"
        report.error("weights-zero", message, *path, hint="give one of them a weight", key=True)
    elif total > _MAX_TOTAL:
        message = f"the weights total {total}; Envoy's limit is {_MAX_TOTAL}"
        report.error("weights-limit", message, *path, hint="divide all of them by the same number", key=True)
    elif total not in FULL_TOTALS:
        message = f"the weights total {total}, so a weight is not a percentage"
        report.warning("weights-sum", message, *path, hint="make them total 100 (or 1000, 10000, 100000)", key=True)
