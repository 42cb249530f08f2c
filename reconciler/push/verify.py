"""Reading back from the admin endpoint whether a proxy has what it was sent. Sends nothing.

`Watch` polls the cheap reading until one step of a push is confirmed, refused or late; `prove` reads the content once, at
the end. Any way that pushes xDS resources is verified like this, however they travel.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
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
        among: As `loose`, where any of several counts.
        present: What must show some version.
        types: What was sent; only refusals of these types are ours.
        connected: Whether it must not say that it is not connected to its ADS server.
    """

    required: Mapping[Subscription, str] = field(default_factory=lambda: MappingProxyType({}))
    loose: Mapping[Subscription, str] = field(default_factory=lambda: MappingProxyType({}))
    among: Mapping[Subscription, Container[str]] = field(default_factory=lambda: MappingProxyType({}))
    present: frozenset[Subscription] = frozenset()
    types: frozenset[ResourceType] = frozenset()
    connected: bool = False

    def missing(self, versions: Versions) -> tuple[Subscription, ...]:
        """Subscriptions that show something else."""
        shown = versions.versions
        late = {key for key, version in self.required.items() if shown.get(key) != version}
        late |= {key for key, version in self.loose.items() if shown.get(key, version) != version}
        late |= {key for key, texts in self.among.items() if key in shown and shown[key] not in texts}
        return tuple(sorted(late.union(self.present - shown.keys())))

    def shown(self, versions: Versions) -> bool:
        """Whether a reading shows all of it, from an Envoy that does what it was told."""
        if self.connected and versions.connected is False:
            return False
        return versions.live and not versions.warming and not self.missing(versions)


class Verdict(Enum):
    """How waiting for a step ended."""

    CONFIRMED = auto()
    REFUSED = auto()
    LATE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The end of waiting.

    Attributes:
        refused: Types of which Envoy has refused an update since the step began, of what was sent.
        grown: The same, of all types.
        missing: Subscriptions that don't show what they should.
        versions: The last reading, if there was any.
    """

    verdict: Verdict
    refused: frozenset[ResourceType] = frozenset()
    grown: frozenset[ResourceType] = frozenset()
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
        self._lost: float | None = None
        self.restarted = False

    def begin(self) -> None:
        """Make sure that there is a reading from before the step.

        Raises:
            AdminError: It can't be read.
        """
        if self._baseline is None:
            self._baseline = self._admin.versions()

    def confirm(
        self, expectation: Expectation, *, until: float, look: Callable[[], Versions] | None = None
    ) -> Confirmation:
        """Look until the step is done, Envoy has refused it, or the time is over.

        A restart in between is no failure: the new process reads what was sent, and its counters begin at zero.

        Args:
            expectation: What to see.
            until: On the clock's monotonic scale; there is at least one look.
            look: How to read, if more is to be read at the same time.

        Raises:
            AdminError: It does not answer in time, or refuses connections for longer than a restart takes.
        """
        wait = FIRST_WAIT
        self._lost = None
        while True:
            self._clock.sleep(wait)
            wait = min(wait * 1.6, LONGEST_WAIT)
            confirmation = self.once(expectation, until=until, look=look)
            if confirmation is not None and (
                confirmation.verdict is not Verdict.LATE or self._clock.monotonic() > until
            ):
                return confirmation

    def once(
        self, expectation: Expectation, *, until: float, look: Callable[[], Versions] | None = None
    ) -> Confirmation | None:
        """One look; None if it refuses connections, which it may for as long as a restart takes.

        Raises:
            AdminError: As `confirm`.
        """
        try:
            versions = (look or self._admin.versions)()
        except AdminError as error:
            now = self._clock.monotonic()
            self._lost = now if self._lost is None else self._lost
            if error.code == "admin-timeout" or now > min(self._lost + RESTART_GRACE, until):
                raise
            return None
        self._lost = None
        return self._judge(versions, expectation)

    def _judge(self, versions: Versions, expectation: Expectation) -> Confirmation:
        before = self._baseline
        if before is None or versions.epoch != before.epoch:
            self.restarted = self.restarted or before is not None
            before = replace(versions, rejected=MappingProxyType({}))
            self._baseline = before
        grown = frozenset(type_ for type_ in ResourceType if _count(versions, type_) > _count(before, type_))
        if expectation.shown(versions):
            self._baseline = versions
            return Confirmation(verdict=Verdict.CONFIRMED, grown=grown, versions=versions)
        refused = grown & expectation.types
        verdict = Verdict.REFUSED if refused else Verdict.LATE
        missing = expectation.missing(versions)
        return Confirmation(verdict=verdict, refused=refused, grown=grown, missing=missing, versions=versions)


class Reading:
    """The content of some types, read after the push, and the proof that it makes with what was read before.

    Versions are read before content, so content that comes with the right versions is not older than they are: reading
    both at the last look spares a proxy of a large fleet two of five calls.
    """

    def __init__(self, target: Target, admin: Admin, *, at: Callable[[], datetime]) -> None:
        self._target = target
        self._admin = admin
        self._at = at
        self._read: Observation | None = None
        self._types: frozenset[ResourceType] = frozenset()

    def look(self, types: frozenset[ResourceType]) -> Versions:
        """Read these types, and return the versions that were read with them.

        Raises:
            AdminError: It can't be read.
        """
        self._read = None
        seen = self._admin.observe(
            self._target.proxy, at=self._at, types=types, expected=self._target.view.resources
        )  # fmt: skip
        if seen.error is not None or seen.versions is None:
            raise AdminError(diagnostics=(seen.error,) if seen.error else ())
        self._read, self._types = seen, types
        return seen.versions

    def prove(self, types: frozenset[ResourceType]) -> Proven:
        """Compare everything with the view. Types that were not sent are taken from the reading before the push.

        A proxy that can't be read now stays confirmed.
        """
        try:
            if self._read is None or not types <= self._types:
                self.look(types)
        except AdminError as error:
            detail = f"could not be read again: {error.message}"
            return Proven(observation=self._target.observation, proof=Proof.CONFIRMED, detail=detail)
        read = self._read or self._target.observation
        return judge(self._target, merge(self._target.observation, read, self._types))

    def forget(self) -> None:
        """What was read is not what serves any more."""
        self._read = None


def judge(target: Target, observation: Observation) -> Proven:
    """How surely an observation shows the target's view, and what is in the way of being sure."""
    detail = difference(target, observation)
    return Proven(observation=observation, proof=Proof.CONFIRMED if detail else Proof.EXACT, detail=detail)


def read_with(types: frozenset[ResourceType]) -> frozenset[ResourceType]:
    """What has to be read once something of these types was sent: what they subscribe to comes and goes with them."""
    if ResourceType.CLUSTER in types:
        types |= {ResourceType.ENDPOINTS}
    if ResourceType.LISTENER in types:
        types |= {ResourceType.ROUTE}
    if types & {ResourceType.CLUSTER, ResourceType.LISTENER}:
        types |= {ResourceType.SECRET}
    return types


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
    """What serves and should not, or should and does not, by name; "" if nothing.

    Load assignments with recipes move all the time, without a push: that there is one is enough.
    """
    wanted = target.view.resources
    live = {id_: item for id_, item in observation.resources.items() if id_ not in observation.foreign}
    runtime = ResourceType.RUNTIME
    parts = (
        ("missing", [id_ for id_ in wanted if id_ not in live]),
        (
            "different",
            [id_ for id_, item in wanted.items() if item.recipe is None and id_ in live and live[id_] != item],
        ),
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
