"""Rules that several kinds have in common: lists without repetition, selectors, listen addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.hosts import is_address
from reconciler.policy.checks.formats import LABEL_HINT, label_problem
from reconciler.policy.findings import Report


def unique(report: Report, what: str, values: Iterable[tuple[object, tuple[str | int, ...]]]) -> None:
    """Note each value that stood before; values come with their paths. None is no value."""
    seen: set[object] = set()
    for value, path in values:
        if value is not None and value in seen:
            report.error(
                "duplicate-value", f"{what} {value} stands here for the second time", *path, hint="keep one of them"
            )
        seen.add(value)


def check_labels(labels: Mapping[str, str], report: Report, *path: str | int) -> None:
    """Note labels that Kubernetes would refuse; Istio takes no wildcards in selectors either."""
    for name, value in labels.items():
        problem = label_problem(name, value)
        if problem:
            report.error("label", problem, *path, name, hint=LABEL_HINT)


def check_bind(bind: str, report: Report, *path: str | int) -> None:
    """Note a listen address that is no IP address."""
    if bind and not is_address(bind):
        message = f"{bind!r} is not an IP address; a listener binds one"
        report.error("address", message, *path, hint="write it like 127.0.0.1, or 0.0.0.0 for all")
