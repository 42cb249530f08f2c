"""Who is told of rollouts, and what: one notice for each state that a rollout comes into. Pure; `notifier` delivers it.

The `id` of what was told last stands in the rollout's evidence, so nothing is told twice by another process. A process that is
killed between delivering and recording tells once more, with the same `id`. A state that a rollout passes through while
nothing runs, or between two passes, is not told: a notice says where a rollout stands, and Git says how it came there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reconciler.model.key import Key
from reconciler.model.proxy import NotificationFormat
from reconciler.model.rollout import Phase
from reconciler.plan import shorten, visible
from reconciler.rollouts.course import Course
from reconciler.rollouts.evidence import Evidence

SCHEMA = 1
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LONGEST = 1000
"""Characters of others' words; a block of Slack's takes 3,000, which escaping may treble."""
_STEP = ("run", "step")
_STATE = (*_STEP, "phase", "reason")
_SIGNS = {
    Phase.PENDING: "",
    Phase.PROGRESSING: ":arrow_forward:",
    Phase.PAUSED: ":double_vertical_bar:",
    Phase.SUCCEEDED: ":white_check_mark:",
    Phase.ABORTED: ":no_entry:",
}
_ONCE = frozenset({Phase.SUCCEEDED, Phase.ABORTED})
"""Phases that a run is in at most once: there the commit of the phase does not matter, which for an abort may follow later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Where a rollout stands now.

    Attributes:
        stable: The subset that has the traffic.
        canary: The subset that gets it.
        step: Index from 0; the number of steps once all are done.
        steps: How many there are.
        weight: Percent that the canary has on the policy branch.
        reason: Why it is paused or aborted; "" otherwise.
        commit: The commit on the policy branch that brought it into this state; "" while an abort is not there yet.
        began: What tells this state from an equal one at another time: the commit that brought it, or of an end, which may come to
            the branch later, the commit that brought the step in which it came.
        repository: As users know it, without what may be a secret.
        at: When it was noticed, UTC.
    """

    rollout: Key
    run: str
    stable: str
    canary: str
    phase: Phase
    step: int
    steps: int
    weight: float
    reason: str
    commit: str
    began: str
    repository: str
    at: datetime

    @property
    def state(self) -> str:
        """What is told once: run, phase and step, and for a pause its kind of reason; numbers make no other kind."""
        if self.phase in _ONCE:
            return f"{self.run} {self.phase}"
        kind = _short(_NUMBER.sub("0", self.reason)) if self.phase is Phase.PAUSED else ""
        return f"{self.run} {self.phase} {self.step} {kind}".rstrip()

    @property
    def id(self) -> str:
        """Equal for the same state however often and by whomever it is told; another one if a rollout comes into it again."""
        return _short("\0".join((str(self.rollout), self.state, self.began)), 32)

    def body(self, form: NotificationFormat) -> dict[str, Any]:
        """What is sent."""
        return self._slack() if form is NotificationFormat.SLACK else self._json()

    def _json(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA,
            "id": self.id,
            "rollout": self.rollout.name,
            "namespace": self.rollout.namespace,
            "run": self.run,
            "phase": str(self.phase),
            "step": self.step,
            "steps": self.steps,
            "weight": self.weight,
            "reason": self.reason,
            "commit": self.commit,
            "repository": visible(self.repository),
            "at": self.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        }

    def _slack(self) -> dict[str, Any]:
        """A line of ours with names in it, and others' words in fields that Slack takes as they are."""
        head = f"{_SIGNS[self.phase]} *{_slack(self.rollout.short())}* {_slack(self.headline())}".strip()
        where = f"{self.repository} {self.commit[:10]}".strip()
        blocks: list[dict[str, Any]] = [
            {"type": "section", "text": {"type": "mrkdwn", "text": head, "verbatim": True}},
        ]
        if self.reason:
            blocks.append({"type": "section", "text": _plain(self.reason)})
        blocks.append({"type": "context", "elements": [_plain(where)]})
        tail = f": {_slack(shorten(visible(self.reason), _LONGEST))}" if self.reason else ""
        return {"text": f"{_slack(self.rollout.short())} {_slack(self.headline())}{tail}", "blocks": blocks}

    def headline(self) -> str:
        """Where it stands, in words: `v1 -> v2 at 25%, step 3/6`."""
        at = f"step {min(self.step + 1, self.steps)}/{self.steps}, {self.canary} at {self.weight:g}%"
        words = {
            Phase.PENDING: "has not begun",
            Phase.PROGRESSING: at,
            Phase.PAUSED: f"paused at {at}",
            Phase.SUCCEEDED: f"succeeded: {self.canary} has all traffic",
            Phase.ABORTED: f"aborted in step {min(self.step + 1, self.steps)}/{self.steps}: {self.stable} has all traffic",
        }
        return f"{self.stable} -> {self.canary}: {words[self.phase]}"


def due_notice(
    course: Course,
    evidence: Evidence | None,
    *,
    began: Callable[[tuple[str, ...]], str],
    weight: float,
    repository: str,
    at: datetime,
) -> Notice | None:
    """What has to be told of a rollout; None if it was told, or there is no run.

    Args:
        course: As the policy branch has it.
        evidence: Of its run.
        began: Says which commit gave these fields of the status the values that they have now.
        weight: Percent that the policy branch gives the canary.
        repository: As users know it.
        at: Now, UTC.
    """
    status = course.status
    if status.phase is Phase.PENDING or evidence is None or evidence.run != status.run:
        return None
    early = evidence.aborted if status.phase is not Phase.ABORTED else None
    phase = status.phase if early is None else Phase.ABORTED
    notice = Notice(
        rollout=course.key,
        run=status.run,
        stable=course.spec.stable,
        canary=course.spec.canary,
        phase=phase,
        step=status.step,
        steps=len(course.steps),
        weight=weight if early is None else 0.0,
        reason=status.reason if early is None else early.reason,
        commit="" if early is not None else began(_STATE),
        began=began(_STEP if phase in _ONCE else _STATE),
        repository=without_secrets(repository),
        at=at,
    )
    if phase is Phase.PROGRESSING and _waits(course):
        notice = replace(notice, reason="waits until a person promotes it")
    return None if notice.id == evidence.notified else notice


def _waits(course: Course) -> bool:
    """Whether the step ends by a person only."""
    if course.status.step >= len(course.steps):
        return False
    pause = course.steps[course.status.step].pause
    return pause is not None and pause.duration is None


def without_secrets(repository: str) -> str:
    """A repository's address without the user and password that it may carry, and without its query."""
    if "://" not in repository:
        return repository
    parts = urlsplit(repository)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _plain(words: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": shorten(visible(words), _LONGEST) or "-", "emoji": False}


def _slack(words: str) -> str:
    """Text for Slack's mrkdwn: the three characters that make links and mentions are escaped, as Slack asks.

    What makes text bold or code has no escape there, so a character without width keeps it from standing beside a word.
    """
    text = visible(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_~`])", "\\1\N{ZERO WIDTH SPACE}", text)


def _short(text: str, digits: int = 12) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:digits]
