"""Tells whoever watches the page that something has changed, and what to read again. Never says what: that is read with its own role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.cycle import Report
    from reconciler.web import Notices

KINDS = ("hello", "pass", "rollout", "proxy", "discovery")


class PageObserver:
    """Stands between the loop and those who watch."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._outcomes: object = None
        self._git = ""

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:
        """A pass ended."""
        del whole
        self._notices.tell("pass", {"read": ["/v1/status", "/v1/plan", "/v1/timeline"]})
        if report.taken or report.receipt is not None or report.again is not None:
            self._notices.tell("rollout", {"read": ["/v1/rollouts"]})
        outcomes = {key: (item.kind, item.detail) for key, item in report.outcomes.items()}
        if outcomes != self._outcomes or "connect" in reasons:
            self._outcomes = outcomes
            self._notices.tell("proxy", {"read": ["/v1/status"]})
        if "discovery" in reasons:
            self._notices.tell("discovery", {"read": ["/v1/services", "/v1/traffic"]})

    def broken(self, error: Exception) -> None:
        """A pass ended by an exception nobody expects."""
        del error
        self._notices.tell("pass", {"read": ["/v1/status"]})

    def git_asked(self, error: ReconcilerError | None) -> None:
        """Git was asked; only a change of its answer is news."""
        said = error.code if error is not None else ""
        if said != self._git:
            self._git = said
            self._notices.tell("pass", {"read": ["/v1/status"]})
