"""From a plan to a plan that has been judged: what refuses it, and what somebody allowed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from reconciler.cycle.desired import Desired
from reconciler.errors import Diagnostic, Severity
from reconciler.model.plan import Cause, Plan, ProxyPlan
from reconciler.model.proxy import DriftPolicy
from reconciler.model.resource import Resource
from reconciler.plan import Split, check, digest
from reconciler.plan.standstill import NO_STANDSTILL, Standstill


def guarded(
    plan: Plan,
    desired: Desired,
    *,
    allow: Collection[str],
    acknowledged: Callable[[], Collection[str]],
    verified: Callable[[], Sequence[Split]],
    plan_digest: str = "",
    fresh: Callable[[Resource], Resource | None] = lambda resource: resource,
    silent: Collection[str] = (),
    standstill: Standstill = NO_STANDSTILL,
) -> Plan:
    """The plan with its refusals, and with what was allowed among its warnings.

    What commits acknowledge is looked up only when a guard objects: most plans are harmless, and Git's log takes longer than
    all guards together. Drift that is only reported is not judged: it is not going to be pushed.
    """
    report_only = desired.mesh.settings.drift is DriftPolicy.REPORT
    pushed = replace(plan, proxies=tuple(_without_drift(item) for item in plan.proxies)) if report_only else plan
    runtimes = {proxy.key: proxy.spec.push.runtime for proxy in desired.mesh.proxies}
    judge = partial(
        check,
        pushed,
        views=desired.views,
        limits=desired.mesh.settings.guards,
        verified=verified,
        fresh=fresh,
        silent=silent,
        standstill=standstill,
        prefixes={key: [route.prefix for route in item.routes] for key, item in runtimes.items() if item},
    )
    found = judge(allow=allow)
    if any(item.severity is Severity.ERROR for item in found) and (more := acknowledged()):
        found = judge(allow=frozenset(allow) | frozenset(more))
    refused = tuple(item for item in found if item.severity is Severity.ERROR)
    warnings = tuple(item for item in found if item.severity is Severity.WARNING)
    return replace(
        plan, refused=(*refused, *_digest_refusal(plan, plan_digest)), warnings=(*plan.warnings, *warnings)
    )  # fmt: skip


def _without_drift(proxy: ProxyPlan) -> ProxyPlan:
    return replace(proxy, changes=tuple(change for change in proxy.changes if change.cause is not Cause.DRIFT))


def _digest_refusal(plan: Plan, wanted: str) -> tuple[Diagnostic, ...]:
    """Fails closed: an abbreviated or empty recomputed digest never equals a wanted one."""
    if not wanted or (found := digest(plan)) == wanted:
        return ()
    return (
        Diagnostic(
            code="plan-digest",
            message=f"the plan has changed since it was reviewed: its digest is {found}, not {wanted}",
            hint="preview again with --dry-run, and apply with the digest that it shows",
        ),
    )
