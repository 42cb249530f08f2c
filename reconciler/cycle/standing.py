"""How the head of the policy branch stands after a pass, in the words of a commit status. Pure; `daemon.statuses` says it to a forge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.cycle.report import Report
from reconciler.errors import Diagnostic
from reconciler.forge import StatusState
from reconciler.model.key import Key
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.plan import visible

_APPLIED = "applied"
_WORDS = {
    OutcomeKind.REJECTED: "rejected by",
    OutcomeKind.FAILED: "can't be written for",
    OutcomeKind.UNREACHABLE: "waits for",
    OutcomeKind.LATE: "waits for",
    OutcomeKind.SKIPPED: "not sent yet to",
    OutcomeKind.DRIFTED: "drift is left on",
}
_HELD = frozenset({"guard-freeze", "guard-suspended", "guard-silent-registry"})
"""Guards that are about a time or a silent registry, not about the commit: it goes on when that is over."""
_AT_FAULT = {OutcomeKind.REJECTED: StatusState.FAILURE, OutcomeKind.FAILED: StatusState.ERROR}
_SHORT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is said of a commit.

    Attributes:
        commit: Its full id.
        state: SUCCESS: live on every proxy, with the proof that a receipt needs. PENDING: on its way, or held by a
            freeze, a suspension or a registry that is silent. FAILURE: the commit is at fault:
            invalid, unsigned, refused by a guard, rejected by Envoy. ERROR: something else is.
        words: One line, which the forge may cut.
    """

    commit: str
    state: StatusState
    words: str


def standing(report: Report) -> Standing | None:
    """What a pass over the whole fleet says of the head; None if it says nothing of it, as when Git could not be read.

    Words of proxies and of policies are in it, made visible: whoever reads the repository's statuses reads them.
    """
    if not report.head or (report.plan is None and not report.errors):
        return None
    state, words = _said(report)
    return Standing(commit=report.head, state=state, words=words)


def superseded(commit: str, by: Standing) -> Standing:
    """What is said of a commit that was on its way when a newer one arrived everywhere: that contains it."""
    return Standing(commit=commit, state=by.state, words=f"replaced by {by.commit[:_SHORT]}, which is {by.words}")


def _said(report: Report) -> tuple[StatusState, str]:
    plan = report.plan
    if plan is not None and plan.refused:
        held = all(item.code in _HELD for item in plan.refused)
        state, verb = (StatusState.PENDING, "held") if held else (StatusState.FAILURE, "refused")
        return state, f"{verb}: {_first(plan.refused)}"
    if report.errors and report.applied != report.head:
        state = StatusState.PENDING if report.transient else StatusState.FAILURE
        return state, f"not applied: {_first(report.errors)}"
    laggards = _laggards(report)
    if laggards and laggards[0][1].kind in _AT_FAULT:
        return _AT_FAULT[laggards[0][1].kind], f"{_named(laggards)}; {_live(report)}"
    if report.errors:
        state = StatusState.PENDING if report.transient else StatusState.ERROR
        return state, f"{_live(report) or 'not applied'}: {_first(report.errors)}"
    return _arrived(report, laggards)


def _arrived(report: Report, laggards: Sequence[tuple[Key, Outcome]]) -> tuple[StatusState, str]:
    """Nothing is wrong with the commit: is it everywhere, and is that written down?"""
    where, receipt = _live(report), report.receipt or report.last
    if laggards:
        return StatusState.PENDING, f"{where}; {_named(laggards)}"
    if not where:
        return StatusState.SUCCESS, "valid; there are no proxies to be live on"
    if receipt is None or receipt.outcome != _APPLIED:
        return StatusState.PENDING, f"{where}; not recorded yet"
    return StatusState.SUCCESS, where


def _live(report: Report) -> str:
    total = len(report.outcomes)
    applied = sum(outcome.kind is OutcomeKind.APPLIED for outcome in report.outcomes.values())
    return f"live on {applied}/{total} {'proxy' if total == 1 else 'proxies'}" if total else ""


def _laggards(report: Report) -> list[tuple[Key, Outcome]]:
    """Proxies without their view, those first that say most about the commit."""
    order = list(_WORDS)
    found = [item for item in report.outcomes.items() if item[1].kind is not OutcomeKind.APPLIED]
    return sorted(found, key=lambda item: (order.index(item[1].kind), item[0]))


def _named(laggards: Sequence[tuple[Key, Outcome]]) -> str:
    key, outcome = laggards[0]
    more = f" and {len(laggards) - 1} more" if len(laggards) > 1 else ""
    detail = f": {visible(outcome.detail)}" if outcome.detail else ""
    return f"{_WORDS[outcome.kind]} {key.short()}{more}{detail}"


def _first(diagnostics: Sequence[Diagnostic]) -> str:
    first, *others = sorted(diagnostics, key=Diagnostic.sort_key)
    place = f"{first.file}:{first.line}: " if first.file and first.line else ""
    more = f" (and {len(others)} more)" if others else ""
    return visible(f"{place}{first.message} [{first.code}]{more}")
