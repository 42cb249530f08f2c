"""Checking a proxy that announced itself by the rules of a Proxy document. It has no file to point into."""

from __future__ import annotations

from reconciler.model.origin import Origin
from reconciler.model.proxy import Proxy
from reconciler.policy.checks.proxy import check_proxy
from reconciler.policy.findings import Report


def check_announced(spec: Proxy) -> str:
    """What keeps it from being a member, in words; "" if nothing."""
    report = Report(Origin("", 0))
    check_proxy(spec, report)
    return report.findings[0].message if report.failed else ""
