"""What the engine wants next: a value from which the files, the commit message and what people read are made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.model.key import Key
from reconciler.model.rollout import RolloutStatus


class Move(StrEnum):
    """What a decision does.

    HOLD: nothing; it waits. START: a new run begins. ADVANCE: the next step. PAUSE: a person has to look. RESUME: a person has
    looked. FINISH: the run has succeeded. ABORT: all traffic goes back to stable.
    """

    HOLD = "hold"
    START = "start"
    ADVANCE = "advance"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to one rollout now.

    Attributes:
        rollout: Which one.
        move: What is done.
        before: What `main` says now.
        status: What `main` is to say then; as now for HOLD.
        weight: Percent that `main` is to give the canary; None leaves the weights as they are.
        reason: Why, as one sentence for people without a full stop.
        measured: Measured values behind it, a line each, for the commit's body.
        due: When to look again, UTC; None if only people, Git or proxies can change anything.
        unhealthy: Whether what is due is not done for want of healthy endpoints, which nobody else tells people.
        held: Whether what is due is not done because a freeze or a suspension holds rollouts.
    """

    rollout: Key
    move: Move
    before: RolloutStatus
    status: RolloutStatus
    weight: float | None = None
    reason: str = ""
    measured: tuple[str, ...] = ()
    due: datetime | None = None
    unhealthy: bool = False
    held: bool = False

    @property
    def commits(self) -> bool:
        """Whether it becomes a commit on `main`."""
        return self.move is not Move.HOLD
