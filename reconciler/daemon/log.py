"""What the daemon says of its passes: each new fact once, nothing when nothing happens.

Words of others (Envoy's, Git's, a commit's) are escaped, so that none of them can forge a line of the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from reconciler.cycle import Report
from reconciler.daemon.logformat import instant
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


def log_fault(logger: logging.Logger, what: str, error: Exception) -> None:
    """Something beside passes ended by an exception nobody expects: which is an error, where it was only for those who debug.

    Args:
        logger: Where to.
        what: What ended, as the beginning of a sentence.
        error: By what. Its words are not shown: they may be anybody's.
    """
    logger.error("error[bug]: %s ended by %s", what, type(error).__name__, extra={"facts": {"code": "bug"}})
    logger.debug("the fault was here", exc_info=error)


def log_errors(logger: logging.Logger, diagnostics: Sequence[Diagnostic]) -> None:
    """What ends the process, or keeps it from beginning."""
    for item in diagnostics:
        _log(logger, item, {})


def _log(logger: logging.Logger, item: Diagnostic, about: Mapping[str, object]) -> None:
    level = logging.WARNING if item.severity is Severity.WARNING else logging.ERROR
    facts = {name: value for name, value in item.as_json().items() if name != "severity"}
    logger.log(level, "%s", diagnostic_text(item), extra={"facts": {**about, **facts}})


class ReadyLine:
    """Says once that the daemon is ready: an observer of passes. `GET /readyz` asks for no less.

    Args:
        logger: Where to.
        streams: Whether proxies have their streams here: then a commit has to be served before they have anything of the daemon.
    """

    def __init__(self, logger: logging.Logger, *, streams: bool) -> None:
        self._logger = logger
        self._streams = streams
        self._said = ""

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:  # noqa: ARG002 -- as observers are told
        """A pass ended."""
        if report.applied or not self._streams:
            self._say(logging.INFO, "ready")
        elif not self._said:
            self._say(logging.WARNING, "not ready: no commit could be applied yet, so there is nothing to serve")

    def broken(self, error: Exception) -> None:
        """A pass ended by a fault, and says so itself."""

    def git_asked(self, error: ReconcilerError | None) -> None:
        """Git was asked, which brings nothing to a proxy."""

    def _say(self, level: int, words: str) -> None:
        if self._said not in {words, "ready"}:
            self._said = words
            self._logger.log(level, words)


class PassLog:
    """Writes one line per event to a logger. Repeated complaints are said again only after they were gone."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._tried = ""
        self._passes = 0
        self._pass = ""
        self._said: dict[str, frozenset[str]] = {_GIT: frozenset(), _PASS: frozenset()}

    def begin(self, at: datetime) -> None:
        """A pass begins; what is said until its end is of it."""
        self._passes += 1
        self._pass = f"{self._passes}@{instant(at)}"

    def end(self) -> None:
        """What is said from now on is of no pass."""
        self._pass = ""

    def git_failed(self, error: ReconcilerError) -> None:
        """Git could not be asked."""
        self._complain(_GIT, error.diagnostics)

    def git_answered(self) -> None:
        """It could be."""
        self._said[_GIT] = frozenset()

    def broken(self, error: Exception) -> None:
        """A pass ended by a fault of our own; where it was is logged at the level of debugging."""
        self._complain(_PASS, fault(error).diagnostics)
        self._logger.debug("the fault was here", exc_info=error, extra=self._about())

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
        self._done(report, reasons)

    def asked(self, report: Report) -> None:
        """A pass over a part of the fleet, or none at all, ended that somebody waited for. What is wrong is theirs to read."""
        self._done(report, ["asked"])

    def _done(self, report: Report, reasons: Sequence[str]) -> None:
        for item in report.taken:
            self._say(item.commit, visible(item.subject))
        self._say_arrived(report)
        if report.receipt is not None:
            self._say(report.receipt.commit, visible(report.receipt.subject), receipt=report.receipt.commit)
        for commit in report.reverted:
            self._say(commit, "committed on the policy branch, a revert of what was refused")
        spent = " ".join(f"{stage}={seconds * 1000:.0f}ms" for stage, seconds in report.seconds.items())
        seconds = {str(stage): round(value, 6) for stage, value in report.seconds.items()}
        about = self._about(head=report.head, commit=report.applied, reasons=list(reasons), seconds=seconds)
        self._logger.debug("pass for %s (%s): %s", report.head[:10], "+".join(reasons), spent, extra=about)

    def _say_arrived(self, report: Report) -> None:
        plan = report.plan
        if plan is None or plan.empty or plan.refused or not report.outcomes:
            return
        done = f"{report.applied[:10]}: {subject_of(plan)}"
        arrived = all(outcome.kind is OutcomeKind.APPLIED for outcome in report.outcomes.values())
        if arrived or done != self._tried:  # what is refused is tried again and again, which is no news
            self._logger.info("%s", done, extra=self._about(commit=report.applied, message=subject_of(plan)))
        self._tried = "" if arrived else done

    def _say(self, commit: str, subject: str, **facts: object) -> None:
        about = self._about(commit=commit, message=subject, **facts)
        self._logger.info("%s: %s", commit[:10], subject, extra=about)

    def _about(self, **facts: object) -> dict[str, object]:
        """What a line is about, as `logformat` takes it."""
        return {"facts": {"pass": self._pass, **facts}}

    def _complain(self, source: str, diagnostics: Sequence[Diagnostic]) -> None:
        said = frozenset().union(*self._said.values())
        for item in sorted(diagnostics, key=Diagnostic.sort_key):
            if str(item) not in said:
                _log(self._logger, item, {"pass": self._pass})
        self._said[source] = frozenset(str(item) for item in diagnostics)
