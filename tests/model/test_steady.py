"""Time that is waited for within one process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.clock import SteadyClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class _Machine:
    """A machine whose clocks a test sets."""

    wall: datetime = NOON
    mono: float = 100.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_jump_of_the_wall_clock_changes_nothing() -> None:
    """Only what really passes counts, whoever sets the clock to whatever."""
    machine = _Machine()
    steady = SteadyClock(machine)
    machine.mono += 30
    machine.wall = NOON - timedelta(days=3)
    assert steady.now() == NOON + timedelta(seconds=30)
    machine.wall = NOON + timedelta(days=3)
    assert steady.now() == NOON + timedelta(seconds=30)


def test_it_is_the_wall_clock_of_when_it_began() -> None:
    """What another process wrote down as wall time can be compared with it."""
    machine = _Machine(wall=NOON + timedelta(hours=1))
    assert SteadyClock(machine).now() == NOON + timedelta(hours=1)
