"""A run over time: what `reconcile rollout show --plot` draws. Values only; where they are read from stands in `cli`, how they are drawn in `plot`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a time.

    Attributes:
        at: UTC.
        value: In the unit of its panel.
    """

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One metric of both subsets, each in the order of time.

    Attributes:
        canary: The canary's.
        stable: Stable's, as far as it was measured.
        limit: What the canary has to keep to; None if there is no threshold.
    """

    canary: tuple[Point, ...] = ()
    stable: tuple[Point, ...] = ()
    limit: float | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was measured."""
        return not self.canary and not self.stable


class Mark(StrEnum):
    """What kind of moment is marked. STEP: a step begins. HELD: a pause by a person or by the engine. GOOD, BAD: how it ended."""

    STEP = "step"
    HELD = "held"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment that is marked.

    Attributes:
        label: What its badge says: a step's number from 1, or a word.
        words: What happened, for who points at it.
    """

    at: datetime
    mark: Mark
    label: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One run.

    Attributes:
        title: What it is about: `reviews: v1 -> v2`.
        words: Where it stands, in a line.
        start: When the picture begins.
        end: When it ends: the end of the run, or now.
        weight: Percent that the canary had from each time on.
        success: Percent of requests that went well.
        duration: Request times, in milliseconds.
        percentile: Which of them.
        moments: In the order of time.
    """

    title: str
    words: str = ""
    start: datetime
    end: datetime
    weight: tuple[Point, ...] = ()
    success: Pair = field(default_factory=Pair)
    duration: Pair = field(default_factory=Pair)
    percentile: float = 99
    moments: tuple[Moment, ...] = ()
