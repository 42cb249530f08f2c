"""What a registry is not believed at once: that instances which are in use are gone. Pure.

The keeper asks about one service at a time. Losses are counted, not matched: a service that had three instances and lists three
others has lost nothing, as after any redeployment. What is in doubt stays in use beside whatever the registry lists by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler.model.discovered import Instance
from reconciler.model.discovery import Protection
from reconciler.model.services import Health

Ident = tuple[str, tuple[int, ...]]
"""What makes an instance the same one: its address, and its ports' numbers in order."""

_NONE: Mapping[Ident, Instance] = {}


def ident(instance: Instance) -> Ident:
    """Which one it is, whatever else is said of it."""
    return instance.address, tuple(sorted(set(instance.ports.values())))


def by_ident(instances: Iterable[Instance]) -> dict[Ident, Instance]:
    """In their order; of two that are one the last counts."""
    return {ident(instance): instance for instance in instances}


@dataclass(frozen=True, slots=True)
class Missing:
    """An instance that is not listed any more, and used for the time being."""

    instance: Instance
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Of one service.

    Attributes:
        base: How many healthy instances it had; once as many are listed again, whichever, the doubt is over.
        missing: Those that are held. Never empty.
        wide: Whether it is held because the registry as a whole lost too much at once.
    """

    base: int
    missing: Mapping[Ident, Missing]
    wide: bool = False

    @property
    def since(self) -> datetime:
        """When the first loss was heard of."""
        return min(each.since for each in self.missing.values())

    @property
    def last(self) -> datetime:
        """When that was of the last one."""
        return max(each.since for each in self.missing.values())

    @property
    def instances(self) -> tuple[Instance, ...]:
        """What is held, in a fixed order."""
        return tuple(self.missing[key].instance for key in sorted(self.missing))

    def outlived(self, before: datetime) -> Doubt | None:
        """Without the losses that are older; None if nothing is left to doubt."""
        left = {key: each for key, each in self.missing.items() if each.since > before}
        gone = len(self.missing) - len(left)
        return replace(self, base=self.base - gone, missing=left) if left else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a registry said last of a service, beside what was in use before.

    Attributes:
        used: Instances in use, those in doubt among them.
        listed: Instances that the registry lists now, whatever becomes of them.
        now: UTC.
        wide: Whether this step takes too much of the registry as a whole.
    """

    used: Mapping[Ident, Instance] = field(default_factory=lambda: _NONE)
    listed: Mapping[Ident, Instance] = field(default_factory=lambda: _NONE)
    now: datetime
    wide: bool = False


def doubted(doubt: Doubt | None, step: Step, protection: Protection) -> Doubt | None:
    """What is in doubt of a service after a step; None if it is believed.

    An instance that was not healthy any more is no loss: that it goes was announced.

    Args:
        doubt: Before the step.
        step: What changed.
        protection: What the registry is believed.
    """
    missing = [
        key for key, instance in step.used.items() if instance.health is Health.HEALTHY and key not in step.listed
    ]
    if not missing or protection.hold_for <= timedelta():
        return None
    base = doubt.base if doubt is not None else healthy(step.used.values())
    if any(each.health is Health.HEALTHY for each in step.listed.values()):
        has = sum(_counts(each, step.used.get(key)) for key, each in step.listed.items())
        if has >= base:
            return None
        if doubt is None and not step.wide and not too_much(base, has, protection):
            return None
    return Doubt(
        base=base,
        missing={key: _still_missing(doubt, key, step) for key in missing},
        wide=doubt.wide if doubt is not None else step.wide,
    )


def _still_missing(doubt: Doubt | None, key: Ident, step: Step) -> Missing:
    known = doubt.missing.get(key) if doubt is not None else None
    return known if known is not None else Missing(step.used[key], step.now)


def _counts(listed: Instance, used: Instance | None) -> bool:
    """Whether it makes up for a loss. One that was healthy and has another mark now is still there."""
    return Health.HEALTHY in {listed.health, used.health if used is not None else listed.health}


def too_much(had: int, has: int, protection: Protection) -> bool:
    """Whether so great a loss is not believed: all of it, or a greater share than is allowed."""
    if had <= 0 or has >= had:
        return False
    return has <= 0 or (had - has) * 100 > had * protection.max_loss_percent


def healthy(instances: Iterable[Instance]) -> int:
    """How many are."""
    return sum(each.health is Health.HEALTHY for each in instances)
