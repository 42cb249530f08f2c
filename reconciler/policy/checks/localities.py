"""Rules for load balancing between localities, by Istio's `ValidateLocalityLbSetting`."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.trafficpolicy import LocalityLB, OutlierDetection
from reconciler.policy.checks.formats import LABEL_HINT, label_problem, locality_problem
from reconciler.policy.checks.shared import idle
from reconciler.policy.findings import Report

_TOPOLOGY = frozenset({
    "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone",
})  # fmt: skip
"""Labels that stand for what `failover` decides."""

_WHOLE = 100


def check_locality_setting(setting: LocalityLB, outlier: OutlierDetection | None, report: Report) -> None:
    """Shares or an order, not both; the report's paths begin at the setting."""
    given = [name for name in ("distribute", "failover") if getattr(setting, name)]
    given += ["failoverPriority"] if setting.failover_priority else []
    if setting.distribute and len(given) > 1:
        message = f"distribute can't stand beside {given[1]}"
        report.error("one-of", message, "distribute", hint="keep one of the two", key=True)
    if setting.enabled is False and given:
        idle(report, f"enabled is false, so {given[0]} changes nothing", given[0], hint="remove one of the two")
    _check_distribute(setting, report)
    _check_failover(setting, report)
    _check_priorities(setting, report)
    if (setting.failover or setting.failover_priority) and outlier is None and setting.enabled is not False:
        message = "without outlierDetection no endpoint ever counts as failed, so this changes nothing"
        idle(report, message, given[-1], hint="add outlierDetection beside loadBalancer")


def _check_distribute(setting: LocalityLB, report: Report) -> None:
    _check_localities(
        ((item.from_, ("distribute", index, "from")) for index, item in enumerate(setting.distribute)), report
    )
    for index, item in enumerate(setting.distribute):
        path = ("distribute", index, "to")
        _check_localities(((name, (*path, name)) for name in item.to), report)
        for name, share in item.to.items():
            if not 1 <= share <= _WHOLE:
                report.error("value", f"a share is from 1 to 100; here is {share}", *path, name, hint="leave out 0")
        total = sum(item.to.values())
        if total != _WHOLE and all(1 <= share <= _WHOLE for share in item.to.values()):
            message = f"the shares total {total}; they are percentages"
            report.error("value", message, *path, hint="make them total 100", key=True)


def _check_localities(named: Iterable[tuple[str, tuple[str | int, ...]]], report: Report) -> None:
    """Note localities that are none, and ones that overlap with an earlier one."""
    earlier: list[str] = []
    for name, path in named:
        problem = locality_problem(name.removesuffix("*").removesuffix("/") if name != "*" else "any")
        if problem or "*" in name.removesuffix("*"):
            hint = "write it like us-west/zone1/*: `*` stands at the end"
            report.error("value", f"{name!r} is not of the form region/zone/subzone", *path, hint=hint)
            continue
        other = next((item for item in earlier if _overlap(item, name)), None)
        if other is not None:
            hint = "each locality belongs to one entry"
            report.error("duplicate-value", f"{name} overlaps with {other}", *path, hint=hint)
        earlier.append(name)


def _overlap(one: str, other: str) -> bool:
    pairs = zip(_parts(one), _parts(other), strict=False)
    return all(left == right for left, right in pairs)


def _parts(name: str) -> list[str]:
    """What has to agree: nothing for `*`, the region for `us` and `us/*`."""
    return [part for part in name.split("/") if part != "*"]


def _check_failover(setting: LocalityLB, report: Report) -> None:
    for index, item in enumerate(setting.failover):
        for field, text in (("from", item.from_), ("to", item.to)):
            if not text or "/" in text or "*" in text:
                message = f"{text!r} is not a region"
                report.error("value", message, "failover", index, field, hint="write a region alone, like us-west")
        if item.from_ == item.to and item.to:
            message = f"the region {item.to} can't fail over to itself"
            report.error("value", message, "failover", index, "to", hint="name another region")


def _check_priorities(setting: LocalityLB, report: Report) -> None:
    for index, text in enumerate(setting.failover_priority):
        name, _, value = text.partition("=")
        problem = label_problem(name, value)
        if problem:
            report.error("label", problem, "failoverPriority", index, hint=LABEL_HINT)
        elif setting.failover and text in _TOPOLOGY:
            message = f"{text} can't stand beside failover, which decides about regions too"
            report.error("one-of", message, "failoverPriority", index, hint="remove failover")
