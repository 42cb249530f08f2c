"""What the engine is told about the world in one pass. Everything that is not in Git comes in through here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.key import Key
from reconciler.model.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A commit on `main` that is not ours and touches what a rollout owns.

    Attributes:
        commit: Its id.
        author: Name of who wrote it.
        subject: Its first line.
        what: What it did, as a verb with its object: `moved the weight of reviews`, `edited the steps`, `took a step back`.
    """

    commit: str
    author: str
    subject: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How far what `main` says now is live, by the newest pass.

    Attributes:
        scope: The proxies that carry the split.
        laggards: Of these, the ones that are not proven to have what `main` says, and why.
        since: Commit time of the first receipt that shows it without these laggards, UTC; None if there is none yet. A step's
            clock starts then.
    """

    scope: frozenset[Key] = frozenset()
    laggards: Mapping[Key, str] = field(default_factory=dict)
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Prometheus said: a value, or why there is none."""

    value: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One pass' view of the world.

    Attributes:
        now: Steady wall time, UTC: it neither jumps nor runs backwards within a process.
        weight: Percent that `main` gives the canary now, by the first of the target's routes.
        even: Whether all of the target's routes give it the same.
        stranded: What the canary of a run that was left in the middle still has, in words; "" if nothing.
        verified: How far that is live.
        reading: What callers counted; None if nobody was asked.
        answers: By `Query.id`: what was asked for this pass.
        touched: Commits of people since the engine last looked, oldest first; where the run was resumed since, those after it.
        resumed: Whether somebody resumed the run since the engine last looked. It matters where the pause before came and went in
            between; a pause that was seen needs no telling.
        applied: Whether the head of `main` is what proxies are brought to; False if it is invalid or refused.
        held: Why rollouts do not go on now, a freeze or a suspension; "" if they do. Aborts and pauses are never held.
        held_until: When that ends, UTC; None if nobody knows.
    """

    now: datetime
    weight: float
    even: bool = True
    stranded: str = ""
    verified: Verified = field(default_factory=Verified)
    reading: Reading | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    touched: tuple[Touched, ...] = ()
    resumed: bool = False
    applied: bool = True
    held: str = ""
    held_until: datetime | None = None
