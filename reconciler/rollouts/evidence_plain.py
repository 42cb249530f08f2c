"""Evidence as mappings, lists, strings and numbers: what stands in `rollouts/<namespace>/<name>.yaml` on the record branch.

Equal evidence gives equal plain values in equal order, and reading gives back what was written. Reading is strict: evidence that is
not understood is better not had than guessed at, because the engine can begin a step anew without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.key import Key
from reconciler.model.rollout import Phase
from reconciler.rollouts.comparison import State
from reconciler.rollouts.counts_plain import counts_from, counts_to
from reconciler.rollouts.evidence import Aborted, Evidence, Measured, Outcome, Running, Seen
from reconciler.rollouts.fields import Fields


def to_plain(evidence: Evidence) -> dict[str, Any]:
    """Written out; what is empty is left out."""
    return _full(
        {
            "run": evidence.run,
            "phase": str(evidence.phase),
            "step": evidence.step,
            "entered": _time(evidence.entered),
            "verified": _time(evidence.verified),
            "aborted": _aborted_to(evidence.aborted),
            "pausing": evidence.pausing,
            "note": evidence.note,
            "seen": evidence.seen,
            "notified": evidence.notified,
            "proposal": dict(evidence.proposal),
            "analyses": {name: _running_to(evidence.analyses[name]) for name in sorted(evidence.analyses)},
            "timed": evidence.timed,
            "callers": {str(key): _seen_to(evidence.callers[key]) for key in sorted(evidence.callers)},
        },
        keep=("run", "phase", "step"),
    )


def from_plain(plain: Mapping[str, Any]) -> Evidence:
    """Read back what `to_plain` gave, also through YAML or JSON.

    Raises:
        ValueError: It is something else; the message names the field.
    """
    fields = Fields(plain)
    callers, analyses = fields.children("callers"), fields.children("analyses")
    aborted = fields.child("aborted")
    found = Evidence(
        run=fields.text("run", needed=True),
        phase=fields.one_of("phase", Phase),
        step=fields.number("step", needed=True),
        entered=fields.time("entered"),
        verified=fields.time_or_none("verified"),
        aborted=None if aborted is None else _aborted_from(aborted),
        pausing=fields.text("pausing"),
        note=fields.text("note"),
        seen=fields.text("seen"),
        notified=fields.text("notified"),
        proposal=MappingProxyType(dict(fields.mapping("proposal"))),
        analyses=MappingProxyType({name: _running_from(item) for name, item in analyses.items()}),
        timed=fields.flag("timed"),
        callers=MappingProxyType({Key.parse(name): _seen_from(item) for name, item in callers.items()}),
    )
    fields.end()
    return found


def _aborted_to(aborted: Aborted | None) -> dict[str, Any]:
    if aborted is None:
        return {}
    return _full(
        {"reason": aborted.reason, "at": _time(aborted.at), "measured": list(aborted.measured)}, keep=("reason",)
    )


def _aborted_from(fields: Fields) -> Aborted:
    found = Aborted(reason=fields.text("reason"), at=fields.time("at"), measured=fields.texts("measured"))
    fields.end()
    return found


def _running_to(running: Running) -> dict[str, Any]:
    # In the order in which they are measured: it is the course's, and equal for equal courses.
    metrics = {name: _measured_to(metric) for name, metric in running.metrics.items()}
    return _full({"started": _time(running.started), "passed": running.passed, "metrics": metrics})


def _running_from(fields: Fields) -> Running:
    found = Running(
        started=fields.time("started"),
        passed=fields.flag("passed"),
        metrics=MappingProxyType({name: _measured_from(item) for name, item in fields.children("metrics").items()}),
    )
    fields.end()
    return found


def _measured_to(measured: Measured) -> dict[str, Any]:
    return _full(
        {
            "since": _time(measured.since),
            "passed": measured.passed,
            "failed": measured.failed,
            "inconclusive": measured.inconclusive,
            "errors": measured.errors,
            "outcome": str(measured.outcome or ""),
            "value": measured.value,
            "detail": measured.detail,
            "waiting": measured.waiting,
            "canary": counts_to(measured.canary),
            "stable": counts_to(measured.stable),
            "comparison": {} if measured.comparison is None else measured.comparison.to_plain(),
        },
        keep=("value",) if measured.value is not None else (),
    )


def _measured_from(fields: Fields) -> Measured:
    comparison = fields.mapping("comparison")
    found = Measured(
        since=fields.time("since"),
        passed=fields.number("passed"),
        failed=fields.number("failed"),
        inconclusive=fields.number("inconclusive"),
        errors=fields.number("errors"),
        outcome=fields.one_of("outcome", Outcome) if fields.has("outcome") else None,
        value=fields.decimal_or_none("value"),
        detail=fields.text("detail"),
        waiting=fields.text("waiting"),
        canary=counts_from(fields.child("canary")),
        stable=counts_from(fields.child("stable")),
        comparison=State.from_plain(comparison) if comparison else None,
    )
    fields.end()
    return found


def _seen_to(seen: Seen) -> dict[str, Any]:
    return {
        "epoch": seen.epoch,
        **({} if seen.share is None else {"share": seen.share}),
        **({} if seen.canary is None else {"canary": counts_to(seen.canary)}),
        **({} if seen.stable is None else {"stable": counts_to(seen.stable)}),
    }


def _seen_from(fields: Fields) -> Seen:
    found = Seen(
        epoch=fields.text("epoch", needed=True),
        share=fields.decimal_or_none("share"),
        canary=counts_from(fields.child("canary")) if fields.has("canary") else None,
        stable=counts_from(fields.child("stable")) if fields.has("stable") else None,
    )
    fields.end()
    return found


def _full(plain: dict[str, Any], keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without what is empty, apart from some."""
    return {name: value for name, value in plain.items() if value or name in keep}


def _time(value: datetime | None) -> str:
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")
