"""From outcomes to what a receipt says. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.plan import Plan
from reconciler.model.receipt import Outcome, OutcomeKind, ProxyReceipt, Receipt
from reconciler.model.resource import View
from reconciler.plan import digest, subject_of
from reconciler.push import Pushed
from reconciler.record import Draft

_SHORT = 0.1
_NOT_SELECTED = "not selected in the pass for this commit"


def draft(
    plan: Plan,
    outcomes: Mapping[Key, Outcome],
    last: Receipt | None,
    *,
    commit: str,
    views: Mapping[Key, View],
    base: Callable[[Key], View | None],
    seconds: Pushed,
) -> Draft:
    """What the record branch should say after this pass.

    A proxy that was not asked keeps what the last receipt says of it, unless this commit asks something else of it: then it is
    skipped, so that the receipt does not vouch for it. One that could not be reached keeps the view it was last seen with,
    since nothing newer is known.
    `views` is what the commit asks of every proxy of the mesh, `base` what the commit of the last receipt asked of one.
    """
    before = dict(last.proxies) if last else {}
    entries = {key: _unasked(before.get(key), view, base) for key, view in views.items() if key not in outcomes}
    for key, outcome in outcomes.items():
        known = before[key].view if key in before else ""
        entries[key] = ProxyReceipt(
            view=outcome.view or known, proof=str(outcome.proof), outcome=outcome.kind, detail=outcome.detail
        )
    return Draft(
        policy_commit=commit,
        plan_digest=digest(plan),
        subject=_subject(plan, outcomes, commit, seconds.push_seconds + seconds.verify_seconds),
        proxies=entries,
    )


def _unasked(entry: ProxyReceipt | None, view: View, base: Callable[[Key], View | None]) -> ProxyReceipt:
    if entry is None:
        return ProxyReceipt(view="", proof=str(Proof.NONE), outcome=OutcomeKind.SKIPPED, detail=_NOT_SELECTED)
    if entry.outcome is not OutcomeKind.APPLIED or entry.view == view.version:
        return entry
    asked = base(view.proxy)
    if asked is not None and asked.version == view.version:
        return entry
    return replace(entry, outcome=OutcomeKind.SKIPPED, detail=_NOT_SELECTED)


def _subject(plan: Plan, outcomes: Mapping[Key, Outcome], commit: str, seconds: float) -> str:
    """`reviews v2 5% -> 25% live on 12/12 proxies in 0.4s`; without a change, the commit is what is live.

    Where no proxy has it: `reviews v2 5% -> 25% not live: 0/12 proxies in 0.4s`.
    """
    applied = sum(outcome.kind is OutcomeKind.APPLIED for outcome in outcomes.values())
    live = "not live:" if outcomes and not applied else "live on"
    where = f"{live} {applied}/{len(outcomes)} {'proxy' if len(outcomes) == 1 else 'proxies'}"
    what = subject_of(plan)
    took = f"{seconds:.1f}s" if seconds >= _SHORT else f"{seconds * 1000:.0f}ms"
    return f"{what} {where} in {took}" if what else f"{commit[:10]} {where}"
