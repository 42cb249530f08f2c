"""Who is told of rollouts, and what: one notice for each state that a rollout comes into. Pure; `notifier` delivers it.

The key of the state that was told last stands in the rollout's evidence, so nothing is told twice by another process. A process
that is killed between delivering and recording tells once more, with the same `id`. A state that a rollout passes through while
nothing runs, or between two passes, is not told: a notice says where a rollout stands, and Git says how it came there.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reconciler.model.key import Key
from reconciler.model.proxy import NotificationFormat
from reconciler.model.rollout import Phase
from reconciler.plan import shorten, visible

SCHEMA = 1
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LONGEST = 1000
"""Characters of others' words; a block of Slack's takes 3,000, which escaping may treble."""
_SIGNS = {
    Phase.PENDING: "",
    Phase.PROGRESSING: ":arrow_forward:",
    Phase.PAUSED: ":double_vertical_bar:",
    Phase.SUCCEEDED: ":white_check_mark:",
    Phase.ABORTED: ":no_entry:",
}
_ONCE = frozenset({Phase.SUCCEEDED, Phase.ABORTED})
"""Phases that a run is in at most once: there the commit does not matter, which for an abort may follow much later."""


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
        commit: The commit on the policy branch that says so; "" while an abort is not there yet.
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
        commit = "" if self.phase in _ONCE else self.commit
        return _short("\0".join((self.repository, str(self.rollout), self.state, commit)), 32)

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
            "repository": self.repository,
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
