"""Counts what happens, as an observer of passes; and what the web server tells of webhooks and requests.

What lasts is counted once, when it begins: a proxy that goes on refusing a resource, a commit that a guard goes on objecting to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from reconciler.clock import Clock
from reconciler.cycle import Report
from reconciler.cycle.report import ExitCode
from reconciler.daemon.metrics import families
from reconciler.daemon.metrics.families import Family
from reconciler.errors import ReconcilerError
from reconciler.model.plan import Cause, Plan
from reconciler.model.receipt import Outcome, OutcomeKind

_RESULTS = {
    ExitCode.DONE: "success",
    ExitCode.PENDING: "success",
    ExitCode.ERROR: "error",
    ExitCode.REFUSED: "refused",
    ExitCode.UNCONFIRMED: "unconfirmed",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WHOLE, _PART = "whole", "part"
_APPLIED = "applied"


class Tally:
    """Counters and histograms, in a registry that is handed in.

    Args:
        committed: The time of a commit; None if it can't be told.
    """

    def __init__(
        self, registry: CollectorRegistry, *, clock: Clock, committed: Callable[[str], datetime | None]
    ) -> None:
        self._clock = clock
        self._committed = committed
        self._refusing: frozenset[tuple[object, ...]] = frozenset()
        self._objected: frozenset[tuple[str, str]] = frozenset()
        self.git_answered = 0.0
        self.succeeded = 0.0

        def counter(family: Family) -> Counter:
            return Counter(family.name, family.means, family.labels, registry=registry)

        def histogram(family: Family) -> Histogram:
            return Histogram(family.name, family.means, family.labels, buckets=family.buckets, registry=registry)

        self._passes = counter(families.PASSES)
        self._triggers = counter(families.TRIGGERS)
        self._seconds = histogram(families.PASS_SECONDS)
        self._stages = histogram(families.STAGE_SECONDS)
        self._convergence = histogram(families.CONVERGENCE)
        self._pushes = counter(families.PUSHES)
        self._verified = histogram(families.VERIFY_SECONDS)
        self._resources = counter(families.RESOURCES)
        self._drift = counter(families.DRIFT)
        self._rejections = counter(families.REJECTIONS)
        self._refusals = counter(families.REFUSALS)
        self._receipts = counter(families.RECEIPTS)
        self._reverts = counter(families.REVERTS)
        self._moves = counter(families.MOVES)
        self._looks = counter(families.GIT_LOOKS)
        self._git_errors = counter(families.GIT_ERRORS)
        self._admin_errors = counter(families.ADMIN_ERRORS)
        self._webhooks = counter(families.WEBHOOKS)
        self._requests = counter(families.REQUESTS)
        for scope in (_WHOLE, _PART):  # what never happened is 0: a rate needs something to grow from
            for result in (*dict.fromkeys(_RESULTS.values()), "bug"):
                self._passes.labels(scope, result)
        for result in ("success", "error"):
            self._looks.labels(result)
        for kind in OutcomeKind:
            self._pushes.labels(str(kind))

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:
        """A pass ended."""
        self._passes.labels(_WHOLE if whole else _PART, _RESULTS[report.exit_code()]).inc()
        for reason in reasons:
            self._triggers.labels(reason).inc()
        self._seconds.observe(sum(report.seconds.values()))
        for stage, seconds in report.seconds.items():
            self._stages.labels(str(stage)).observe(max(seconds, 0.0))
        self._sent(report)
        self._refused(report, whole=whole)
        self._moved(report)
        if whole and converged(report):
            self.succeeded = self._clock.now().timestamp()

    def broken(self, error: Exception) -> None:
        """A pass ended by an exception nobody expects."""
        del error
        self._passes.labels(_WHOLE, "bug").inc()

    def git_asked(self, error: ReconcilerError | None) -> None:
        """Git was asked for its head."""
        if error is None:
            self._looks.labels("success").inc()
            self.git_answered = self._clock.now().timestamp()
            return
        self._looks.labels("error").inc()
        for code in {item.code for item in error.diagnostics}:
            self._git_errors.labels(code).inc()

    def hooked(self, kind: str, result: str) -> None:
        """A webhook came. Safe from any thread."""
        self._webhooks.labels(kind, str(result)).inc()

    def requested(self, route: str, method: str, code: int) -> None:
        """A request was answered; `route` as the server declares it, never as the client wrote it. Safe from any thread."""
        self._requests.labels(route, method if method in _METHODS else "other", str(code)).inc()

    def _sent(self, report: Report) -> None:
        for outcome in report.outcomes.values():
            if outcome.pushed:
                self._pushes.labels(str(outcome.kind)).inc()
                if outcome.kind is OutcomeKind.APPLIED:
                    self._verified.observe(outcome.seconds)
        plan = report.plan
        if plan is None:
            return
        for item in plan.proxies:
            if item.error is not None:
                self._admin_errors.labels(item.error.code).inc()
        if not plan.refused:  # the plan of a commit that is refused is not what was carried out
            self._changed(plan, {str(key): outcome for key, outcome in report.outcomes.items()})

    def _changed(self, plan: Plan, outcomes: Mapping[str, Outcome]) -> None:
        for item in plan.proxies:
            outcome = outcomes.get(str(item.proxy))
            if outcome is None or not outcome.pushed or outcome.kind is not OutcomeKind.APPLIED:
                continue
            for change in item.changes:
                kind = str(change.id.type)
                self._resources.labels(kind, str(change.action), str(change.cause)).inc()
                if change.cause is Cause.DRIFT:
                    self._drift.labels(kind).inc()

    def _refused(self, report: Report, *, whole: bool) -> None:
        """By proxies, and by guards."""
        refusing: set[tuple[object, ...]] = set()
        for key, outcome in report.outcomes.items():
            if outcome.kind is OutcomeKind.REJECTED:
                refusing |= {(key, str(id_.type), id_.name) for id_ in outcome.rejected} or {(key, "unknown", "")}
        for _, kind, _ in refusing - self._refusing:
            self._rejections.labels(kind).inc()
        objected = {(report.head, item.code) for item in (report.plan.refused if report.plan is not None else ())}
        for _, code in objected - self._objected:
            self._refusals.labels(code).inc()
        if whole:
            self._refusing, self._objected = frozenset(refusing), frozenset(objected)

    def _moved(self, report: Report) -> None:
        """In Git: steps of rollouts, reverts, receipts; and what the newest receipt shows for the first time."""
        for taken in report.taken:
            self._moves.labels(str(taken.decision.move)).inc()
        self._reverts.inc(len(report.reverted))
        receipt, last = report.receipt, report.last
        if receipt is None:
            return
        self._receipts.inc()
        if receipt.policy_commit != report.head or receipt.outcome != _APPLIED:
            return
        if last is not None and (last.policy_commit, last.outcome) == (report.head, _APPLIED):
            return  # it was there before, and something else is new: drift that was put right, a step's evidence
        at = self._committed(report.head)
        if at is not None:
            self._convergence.observe(max((self._clock.now() - at).total_seconds(), 0.0))


def converged(report: Report) -> bool:
    """Whether a pass over the whole fleet proved that every proxy has what the head asks for."""
    if report.plan is None or report.applied != report.head:
        return False
    every = all(outcome.kind is OutcomeKind.APPLIED for outcome in report.outcomes.values())
    return every and report.exit_code() == ExitCode.DONE
