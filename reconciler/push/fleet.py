"""All proxies of one push: in parallel within a phase, together from phase to phase. The room's way in.

Knows when each proxy may go on, not how it is pushed to. A proxy that fails is out and says why; the others go on through
ADD and REPOINT, and so does one on ADS that refused something, with the rest. REMOVE is held for all of them if one that was
reached did not get there: it may still route to what would go. The next pass plans the removal again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.errors import BugError, ReconcilerError
from reconciler.model.key import Key
from reconciler.model.observation import Observation, Proof
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.model.resource import ResourceId
from reconciler.push.ads import AdsWay, ensure
from reconciler.push.byword import by_word
from reconciler.push.disk import Disk
from reconciler.push.files import FilesWay
from reconciler.push.phases import Phase
from reconciler.push.runtime import RuntimeWay
from reconciler.push.verify import judge
from reconciler.push.watches import Watches
from reconciler.push.ways import Proven, RefusedByEnvoyError, Target, Way, kind_of
from reconciler.push.writing import Follow, unfollowed
from reconciler.xds import Fresh, Plane, unchanged

Ways = Callable[[Target, Admin | None, Clock], Way]
"""Chooses how a proxy is pushed to. Only one on ADS can be without an admin endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push came to; an outcome and the latest observation for every target.

    Attributes:
        push_seconds: Of the wall time, the part spent sending (of each phase, its slowest proxy's).
        verify_seconds: The rest: waiting for confirmations, and the proof at the end.
    """

    outcomes: Mapping[Key, Outcome]
    observations: Mapping[Key, Observation]
    push_seconds: float
    verify_seconds: float


def by_spec(
    *, plane: Plane | None = None, commit: str = "", fresh: Fresh = unchanged, follow: Follow = unfollowed
) -> Ways:  # fmt: skip
    """The way that each proxy's `spec.push` names. What the proxies of one push share is shared by the result.

    Args:
        plane: Where proxies on ADS are served; None where this process serves none.
        commit: The policy commit of the push, told to these proxies along with what is sent.
        fresh: What a load assignment is for the endpoints that are known now, for proxies on files; a plane has its own.
        follow: Told what is written to proxies on files that changes without a push.
    """
    watches = Watches()

    def choose(target: Target, admin: Admin | None, clock: Clock) -> Way:
        spec = target.proxy.spec.push
        if spec.ads is not None and plane is not None:
            return AdsWay(target, plane=plane, admin=admin, clock=clock, commit=commit)
        if spec.files is not None and admin is not None:
            disk = Disk(spec.files.directory)
            return FilesWay(
                target, admin=admin, clock=clock, disk=disk, watches=watches, fresh=fresh, follow=follow
            )  # fmt: skip
        if spec.runtime is not None and admin is not None:
            return RuntimeWay(target, spec.runtime, admin=admin, clock=clock)
        raise BugError(f"proxy {target.proxy.key} has no way to push")

    return choose


def push(
    targets: Sequence[Target],
    *,
    admins: Mapping[Key, Admin],
    clock: Clock,
    deadline: timedelta,
    workers: int,
    progress: Callable[[str], None],
    plane: Plane | None = None,
    commit: str = "",
    fresh: Fresh = unchanged,
    follow: Follow = unfollowed,
    ways: Ways | None = None,
) -> Pushed:
    """Bring every target to its view, phase by phase, and prove it. Never raises for a proxy.

    Args:
        targets: Each proxy once. One without changes is proven by its observation; one that can't be read is not sent to.
        admins: One for each target that has an admin endpoint, used by one thread at a time.
        clock: For deadlines, waiting, and the times of observations.
        deadline: For each proxy to confirm one phase.
        workers: Proxies that are talked to at the same time.
        progress: Told what begins, for a person who watches.
        plane: Where proxies on ADS are served; one of them in `targets` needs it.
        commit: The policy commit of the views, for proxies on ADS.
        fresh: What a load assignment is for the endpoints that are known now: that of the plane, where there is one.
        follow: `Channel.follow`, where endpoints are delivered while passes run.
        ways: A seam for tests; by `spec.push`.
    """
    members = [_Member(target) for target in targets]
    begun = clock.monotonic()
    for member in members:
        member.settle()
        if plane is not None and (member.served or member.starts(plane)):
            ensure(plane, member.target.view, commit=commit)
    active = [member for member in members if member.outcome is None]
    sending = 0.0
    if active:
        pool = ThreadPoolExecutor(min(workers, len(active)), thread_name_prefix="push")
        try:
            sending = _Push(
                pool,
                admins,
                clock,
                deadline.total_seconds(),
                progress,
                ways or by_spec(plane=plane, commit=commit, fresh=fresh, follow=follow),
                begun,
            ).carry_out(active)
        finally:
            pool.shutdown(cancel_futures=True)
    return Pushed(
        outcomes={member.key: member.result() for member in members},
        observations={member.key: member.observation for member in members},
        push_seconds=sending,
        verify_seconds=clock.monotonic() - begun - sending,
    )


@dataclass(slots=True)
class _Member:
    """One target's progress."""

    target: Target
    way: Way | None = None
    phases: frozenset[Phase] = frozenset()
    outcome: Outcome | None = None
    failure: tuple[OutcomeKind, str] | None = None
    rejected: tuple[ResourceId, ...] = ()
    held: str = ""
    proven: Proven | None = None

    @property
    def key(self) -> Key:
        return self.target.proxy.key

    @property
    def observation(self) -> Observation:
        return self.proven.observation if self.proven else self.target.observation

    def settle(self) -> None:
        """The outcome of a proxy that nothing is sent to."""
        seen = self.target.observation
        if seen.error is not None:
            self._end(OutcomeKind.UNREACHABLE, Proof.NONE, seen.error.message)
        elif not self.target.changes:
            proven = judge(self.target, seen)
            proven = proven if self.target.proxy.spec.admin else by_word(proven)
            if not proven.detail:
                self._end(OutcomeKind.APPLIED, proven.proof, "")
            else:
                self._end(OutcomeKind.SKIPPED, Proof.NONE, f"left as it is; {proven.detail}")

    @property
    def served(self) -> bool:
        """Whether it is on ADS and has its view already, so that nobody else tells the plane of it."""
        done = self.outcome is not None and self.outcome.kind is OutcomeKind.APPLIED
        return done and self.target.proxy.spec.push.ads is not None

    def starts(self, plane: Plane) -> bool:
        """Whether it can't be read because it has just started, and waits for its first configuration to open its doors.

        A listener in front of an admin endpoint opens only then. Nothing serves yet that could be broken, so all is sent at once.
        """
        lost = self.target.observation.error is not None and self.target.proxy.spec.push.ads is not None
        return lost and plane.state(self.key).fresh

    @property
    def trouble(self) -> OutcomeKind | None:
        """How it will end, if not well: it failed, or it refused something and goes on with the rest."""
        if self.failure is not None:
            return self.failure[0]
        return OutcomeKind.REJECTED if self.way is not None and self.way.refusal is not None else None

    def conclude(self, seconds: float) -> None:
        """The outcome of a proxy that took part."""
        proven = self.proven
        proof, detail = (proven.proof, proven.detail) if proven else (Proof.NONE, "")
        if self.failure is not None:
            self._end(self.failure[0], Proof.NONE, self.failure[1])
        elif self.held:
            self._end(OutcomeKind.SKIPPED, Proof.CONFIRMED, self.held)
        else:
            self._end(OutcomeKind.APPLIED, proof, detail)
        pushed = self.way is not None and self.way.sent > 0
        self.outcome = replace(self.result(), pushed=pushed, seconds=seconds, rejected=self.rejected)

    def result(self) -> Outcome:
        if self.outcome is None:
            raise BugError(f"the push ended without an outcome for {self.key}")
        return self.outcome

    def _end(self, kind: OutcomeKind, proof: Proof, detail: str) -> None:
        seen = self.observation
        view = seen.version_without(self.target.view.discovered) if seen.reachable else ""
        self.outcome = Outcome(proxy=self.key, kind=kind, proof=proof, view=view, detail=detail)


_LEAVING = 0.2
"""Seconds between what has been repointed and what is removed behind it. The admin endpoint shows what an Envoy's main thread has; its
workers follow a moment later, and on a busy machine use an old route a little longer."""


@dataclass(frozen=True, slots=True)
class _Push:
    """One push's surroundings, and its order of events."""

    pool: ThreadPoolExecutor
    admins: Mapping[Key, Admin]
    clock: Clock
    limit: float
    progress: Callable[[str], None]
    ways: Ways
    begun: float = field(default=0.0)

    def carry_out(self, members: Sequence[_Member]) -> float:
        """All phases and the proof; returns the seconds spent sending."""
        self._each(members, self._prepare)
        sending = 0.0
        for phase in Phase:
            taking_part = [member for member in members if phase in member.phases and member.failure is None]
            failed = [member for member in members if member.trouble is not None]
            if phase is Phase.REMOVE and failed and taking_part:
                self._hold([member for member in taking_part if member.trouble is None], failed)
                continue
            if taking_part:
                if phase is Phase.REMOVE and any(Phase.REPOINT in member.phases for member in members):
                    self.clock.sleep(_LEAVING)
                self.progress(f"{phase}: {len(taking_part)} of {len(members)} proxies")
                before = {member.key: _sent(member) for member in taking_part}
                self._each(taking_part, lambda member, phase=phase: self._run(member, phase))  # type: ignore[misc]
                sending += max(_sent(member) - before[member.key] for member in taking_part)
        self._each(members, self._conclude)
        return sending

    def _each(self, members: Sequence[_Member], action: Callable[[_Member], None]) -> None:
        for _ in self.pool.map(action, members):
            pass

    def _prepare(self, member: _Member) -> None:
        def prepare() -> None:
            member.way = self.ways(member.target, self.admins.get(member.key), self.clock)
            member.phases = member.way.prepare()

        self._guarded(member, prepare)

    def _run(self, member: _Member, phase: Phase) -> None:
        way = member.way
        if way is not None:
            self._guarded(member, lambda: way.run(phase, until=self.clock.monotonic() + self.limit))

    def _conclude(self, member: _Member) -> None:
        def prove() -> None:
            gone = member.failure is not None and member.failure[0] is OutcomeKind.UNREACHABLE
            if member.way is not None and member.way.sent and not gone:
                member.proven = member.way.prove()

        failure, refusal = member.failure, member.way.refusal if member.way is not None else None
        if failure is None and refusal is not None:
            failure, member.rejected = (OutcomeKind.REJECTED, _said(refusal)), refusal.resources
        self._guarded(member, prove)
        member.failure = failure or member.failure
        member.conclude(self.clock.monotonic() - self.begun)

    @staticmethod
    def _guarded(member: _Member, action: Callable[[], None]) -> None:
        """One proxy's fault is its own outcome, whatever it is."""
        try:
            action()
        except ReconcilerError as error:
            member.failure = kind_of(error), _said(error)
            member.rejected = error.resources if isinstance(error, RefusedByEnvoyError) else member.rejected
        except Exception as error:  # noqa: BLE001 -- a fault in what one proxy answers must not stop the others
            member.failure = OutcomeKind.FAILED, f"fault of the reconciler, please report it: {error!r}"

    @staticmethod
    def _hold(members: Sequence[_Member], failed: Sequence[_Member]) -> None:
        first = min(failed, key=lambda member: member.key)
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        for member in members:
            member.held = f"removal is held for {first.key} ({first.trouble}){more}; the next pass tries again"


def _said(error: ReconcilerError) -> str:
    """All that a diagnostic says, in the one line that an outcome has."""
    found = error.diagnostics[0]
    return f"{found.message} [{found.code}]" + (f"; {found.hint}" if found.hint else "")


def _sent(member: _Member) -> float:
    return member.way.sent if member.way is not None else 0.0
