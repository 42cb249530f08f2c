"""Reading back from the admin endpoint whether a proxy has what it was sent. Sends nothing.

`Watch` polls the cheap reading until one step of a push is confirmed, refused or late; `prove` reads the content once, at
the end. Any way that pushes xDS resources is verified like this, however they travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from types import MappingProxyType

from reconciler.clock import Clock
from reconciler.envoy import Admin, AdminError
from reconciler.model.observation import Observation, Proof, Versions
from reconciler.model.resource import ResourceType
from reconciler.push.ways import Proven, Target

FIRST_WAIT = 0.001
"""Seconds before the first look; Envoy applies a file in 1.5 to 3 ms."""

LONGEST_WAIT = 0.05
"""Seconds between looks at a proxy that takes long."""

RESTART_GRACE = 2.0
"""Seconds for which a proxy that was reached may refuse connections: it may be restarting, and will read what was sent."""

_SHOWN = 5

Subscription = tuple[ResourceType, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the cheap reading shows when one step is done.

    Attributes:
        required: Versions that must be there.
        loose: Versions that count only if Envoy shows them: nothing may have subscribed to these yet.
        types: What was sent; only refusals of these types are ours.
    """

    required: Mapping[Subscription, str] = field(default_factory=lambda: MappingProxyType({}))
    loose: Mapping[Subscription, str] = field(default_factory=lambda: MappingProxyType({}))
    types: frozenset[ResourceType] = frozenset()

    def missing(self, versions: Versions) -> tuple[Subscription, ...]:
        """Subscriptions that show something else."""
        shown = versions.versions
        late = {key for key, version in self.required.items() if shown.get(key) != version}
        return tuple(sorted(late | {key for key, version in self.loose.items() if shown.get(key, version) != version}))


class Verdict(Enum):
    """How waiting for a step ended."""

    CONFIRMED = auto()
    REFUSED = auto()
    LATE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The end of waiting.

    Attributes:
        refused: Types of which Envoy has refused an update since the step began.
        missing: Subscriptions that don't show what they should.
        versions: The last reading, if there was any.
    """

    verdict: Verdict
    refused: frozenset[ResourceType] = frozenset()
    missing: tuple[Subscription, ...] = ()
    versions: Versions | None = None


class Watch:
    """Follows one proxy's cheap readings through a push.

    Args:
        baseline: The reading before anything was sent; without one, the first step reads it.
    """

    def __init__(self, admin: Admin, *, clock: Clock, baseline: Versions | None) -> None:
        self._admin = admin
        self._clock = clock
        self._baseline = baseline
        self.restarted = False

    def begin(self) -> None:
        """Make sure that there is a reading from before the step.

        Raises:
            AdminError: It can't be read.
        """
        if self._baseline is None:
            self._baseline = self._admin.versions()

    def confirm(self, expectation: Expectation, *, until: float) -> Confirmation:
        """Look until the step is done, Envoy has refused it, or the time is over.

        A restart in between is no failure: the new process reads what was sent, and its counters begin at zero.

        Raises:
            AdminError: It does not answer in time, or refuses connections for longer than a restart takes.
        """
        wait, lost = FIRST_WAIT, None
        confirmation = Confirmation(verdict=Verdict.LATE, missing=tuple(sorted(expectation.required)))
        while True:
            self._clock.sleep(wait)
            wait = min(wait * 1.6, LONGEST_WAIT)
            try:
                versions = self._admin.versions()
            except AdminError as error:
                lost = self._clock.monotonic() if lost is None else lost
                if error.code == "admin-timeout" or self._clock.monotonic() > min(lost + RESTART_GRACE, until):
                    raise
                continue
            lost = None
            confirmation = self._judge(versions, expectation)
            if confirmation.verdict is not Verdict.LATE or self._clock.monotonic() > until:
                return confirmation

    def _judge(self, versions: Versions, expectation: Expectation) -> Confirmation:
        before = self._baseline
        if before is None or versions.epoch != before.epoch:
            self.restarted = self.restarted or before is not None
            before = replace(versions, rejected=MappingProxyType({}))
            self._baseline = before
        missing = expectation.missing(versions)
        if not missing and not versions.warming and versions.live:
            self._baseline = versions
            return Confirmation(verdict=Verdict.CONFIRMED, versions=versions)
        refused = {type_ for type_ in expectation.types if _count(versions, type_) > _count(before, type_)}
        verdict = Verdict.REFUSED if refused else Verdict.LATE
        return Confirmation(verdict=verdict, refused=frozenset(refused), missing=missing, versions=versions)


def prove(target: Target, admin: Admin, *, at: Callable[[], datetime], types: frozenset[ResourceType]) -> Proven:
    """Read these types once more and compare everything with the view.

    Types that were not sent are taken from the reading before the push. A proxy that can't be read now stays confirmed.
    """
    read = admin.observe(target.proxy, at=at, types=types)
    if read.error is not None:
        detail = f"could not be read again: {read.error.message}"
        return Proven(observation=target.observation, proof=Proof.CONFIRMED, detail=detail)
    return judge(target, merge(target.observation, read, types))


def judge(target: Target, observation: Observation) -> Proven:
    """How surely an observation shows the target's view, and what is in the way of being sure."""
    detail = difference(target, observation)
    return Proven(observation=observation, proof=Proof.CONFIRMED if detail else Proof.EXACT, detail=detail)


def merge(before: Observation, read: Observation, types: frozenset[ResourceType]) -> Observation:
    """A full observation from an older one and a newer one of some types."""
    kept = {id_: item for id_, item in before.resources.items() if id_.type not in types}
    both = kept | dict(read.resources)
    return replace(
        read,
        resources=MappingProxyType({id_: both[id_] for id_ in sorted(both)}),
        foreign=read.foreign | frozenset(id_ for id_ in before.foreign if id_.type not in types),
        versions=read.versions or before.versions,
    )


def difference(target: Target, observation: Observation) -> str:
    """What serves and should not, or should and does not, by name; "" if nothing."""
    wanted = target.view.resources
    live = {id_: item for id_, item in observation.resources.items() if id_ not in observation.foreign}
    runtime = ResourceType.RUNTIME
    parts = (
        ("missing", [id_ for id_ in wanted if id_ not in live]),
        ("different", [id_ for id_ in wanted if id_ in live and live[id_] != wanted[id_]]),
        ("left over", [id_ for id_ in live if id_ not in wanted and id_.type is not runtime]),
        ("overridden", [id_ for id_ in live if id_ not in wanted and id_.type is runtime]),
    )
    return "; ".join(f"{word}: {named(map(str, sorted(ids)))}" for word, ids in parts if ids)


def named(names: Iterable[str]) -> str:
    """Names for a message: the first few, and how many more."""
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _count(versions: Versions, type_: ResourceType) -> int:
    return versions.rejected.get(type_, 0)
