"""What the daemon says of its passes: each new fact once, nothing when nothing happens.

Words of others (Envoy's, Git's, a commit's) are escaped, so that none of them can forge a line of the log.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from reconciler.cycle import Report
from reconciler.errors import BugError, Diagnostic, ReconcilerError, Severity
from reconciler.model.receipt import OutcomeKind
from reconciler.plan import diagnostic_text, subject_of, visible

_GIT, _PASS = "git", "pass"
"""Whose complaints: what Git says does not go away by a pass that did without it."""

_LOGGED = frozenset({"discovery-stale", "discovery-silent", "discovery-held"})
"""What is logged when it happens, between passes."""


def fault(error: Exception) -> BugError:
    """A pass that ended by an exception nobody expects, as users read it."""
    return BugError(f"a pass ended by {type(error).__name__}: {error}")


class PassLog:
    """Writes one line per event to a logger. Repeated complaints are said again only after they were gone."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._tried = ""
        self._said: dict[str, frozenset[str]] = {_GIT: frozenset(), _PASS: frozenset()}

    def git_failed(self, error: ReconcilerError) -> None:
        """Git could not be asked."""
        self._complain(_GIT, error.diagnostics)

    def git_answered(self) -> None:
        """It could be."""
        self._said[_GIT] = frozenset()

    def broken(self, error: Exception) -> None:
        """A pass ended by a fault of our own; where it was is logged at the level of debugging."""
        self._complain(_PASS, fault(error).diagnostics)
        self._logger.debug("the fault was here", exc_info=error)

    def passed(self, report: Report, *, reasons: Sequence[str]) -> None:
        """A pass ended."""
        laggards = [
            Diagnostic(code=f"proxy-{outcome.kind}", message=f"{key.short()}: {outcome.detail or outcome.kind}")
            for key, outcome in sorted(report.outcomes.items())
            if outcome.kind is not OutcomeKind.APPLIED
        ]
        plan = report.plan
        warnings = [item for item in plan.warnings if item.code not in _LOGGED] if plan else []
        self._complain(_PASS, (*report.errors, *(plan.refused if plan else ()), *warnings, *laggards))
        self._done(report, "+".join(reasons))

    def asked(self, report: Report) -> None:
        """A pass over a part of the fleet, or none at all, ended that somebody waited for. What is wrong is theirs to read."""
        self._done(report, "asked")

    def _done(self, report: Report, why: str) -> None:
        plan = report.plan
        for item in report.taken:
            self._logger.info("%s: %s", item.commit[:10], visible(item.subject))
        if plan is not None and not plan.empty and not plan.refused and report.outcomes:
            done = f"{report.applied[:10]}: {subject_of(plan)}"
            arrived = all(outcome.kind is OutcomeKind.APPLIED for outcome in report.outcomes.values())
            if arrived or done != self._tried:  # what is refused is tried again and again, which is no news
                self._logger.info("%s", done)
            self._tried = "" if arrived else done
        if report.receipt is not None:
            self._logger.info("%s: %s", report.receipt.commit[:10], visible(report.receipt.subject))
        for commit in report.reverted:
            self._logger.info("%s: committed on the policy branch, a revert of what was refused", commit[:10])
        spent = " ".join(f"{stage}={seconds * 1000:.0f}ms" for stage, seconds in report.seconds.items())
        self._logger.debug("pass for %s (%s): %s", report.head[:10], why, spent)

    def _complain(self, source: str, diagnostics: Sequence[Diagnostic]) -> None:
        said = frozenset().union(*self._said.values())
        for item in sorted(diagnostics, key=Diagnostic.sort_key):
            if str(item) not in said:
                level = logging.WARNING if item.severity is Severity.WARNING else logging.ERROR
                self._logger.log(level, "%s", diagnostic_text(item))
        self._said[source] = frozenset(str(item) for item in diagnostics)
