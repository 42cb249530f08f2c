"""Pushing by Envoy's filesystem xDS: one step of the plan is a few files, replaced by rename and confirmed.

Level-triggered on what the proxy serves: a file is replaced when its part of the live state has to change, whatever lies on
the disk. Since the next restart reads the disk, a push also mends every other file whose bytes are not what they should
be (wiped, edited in place, left by a crash); a proxy whose live state is right is not pushed to, and its disk not looked at.
Load assignments with recipes change without a push, and `channel` writes them meanwhile (see `writing`). What Envoy refuses is replaced by what it serves, rendered from the observation, so that a restart serves it too; this is
also what makes Envoy drop the half of a refused update that it had taken.
"""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType

from reconciler.clock import Clock
from reconciler.envoy import Admin, AdminError
from reconciler.model.observation import Versions
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.push.blame import blamed
from reconciler.push.credentials import arriving, awaited, check_files, demand, lacking, read_again, reason
from reconciler.push.disk import Disk, WriteError
from reconciler.push.given import Given
from reconciler.push.lateness import lateness
from reconciler.push.layout import SETS, Content, Layout, contents
from reconciler.push.overrides import clear, overridden
from reconciler.push.phases import Phase, State, Step, as_sent, live_state, renewed, state, steps
from reconciler.push.verify import Confirmation, Expectation, Reading, Verdict, Watch, named, read_with
from reconciler.push.watches import Watches, user_of
from reconciler.push.ways import NotConfirmedError, Proven, RefusedByEnvoyError, Target
from reconciler.push.writing import Follow, Writer, unfollowed
from reconciler.xds import Fresh, unchanged

TAKING_BACK = 1.0
"""Seconds to wait for Envoy to take the old files back; its last reading is only for the message."""

REMINDING = 0.2
"""Seconds to wait for an Envoy to read a secret anew that it may not subscribe to at all."""

_WRITE_ORDER = {
    ResourceType.SECRET: 0,  # Envoy refuses a cluster or listener whose file is not there, so what is referred to first
    ResourceType.ENDPOINTS: 1,
    ResourceType.CLUSTER: 2,
    ResourceType.ROUTE: 3,
    ResourceType.LISTENER: 4,
}


class FilesWay:
    """Pushes to one `files` proxy. See `ways.Way`.

    Args:
        fresh: What a load assignment is for the endpoints that are known now.
        follow: Who writes load assignments after this push, and meanwhile.
    """

    def __init__(
        self,
        target: Target,
        *,
        admin: Admin,
        clock: Clock,
        disk: Disk,
        watches: Watches,
        fresh: Fresh = unchanged,
        follow: Follow = unfollowed,
    ) -> None:
        self._target = target
        self._admin = admin
        self._clock = clock
        self._disk = disk
        self._watches = watches
        self._fresh = fresh
        self._writer = Writer(target.proxy, disk=disk, fresh=fresh, follow=follow)
        self._watch = Watch(admin, clock=clock, baseline=target.observation.versions)
        self._reading = Reading(target, admin, at=clock.now)
        self._overrides = overridden(target.changes)
        self._steps: tuple[Step, ...] = ()
        self._last = Phase.REPOINT
        self._final: Layout = MappingProxyType({})
        self._repairs: dict[str, Content] = {}
        self._same: Layout = {}
        self._lacking: State = MappingProxyType({})
        self._remembered: State = MappingProxyType({})
        self._touched: set[ResourceType] = set()
        self.sent = 0.0

    @property
    def refusal(self) -> None:
        """What Envoy refuses stops a push by files."""

    def prepare(self) -> frozenset[Phase]:
        """Plan the steps and compare the disk with the end."""
        wanted = renewed(state(self._target.view.resources), self._fresh)
        live = as_sent(live_state(self._target.observation), wanted)
        self._disk.check()
        check_files(live, wanted)
        self._watches.reserve(user_of(self._admin.address), _newly_watched(live, wanted))
        self._lacking = lacking(live, wanted)
        live = {**live, **self._lacking}
        seen = self._target.observation.versions
        if seen is not None and seen.rejected.get(ResourceType.SECRET):
            self._remembered = arriving(live, wanted)
        self._steps = steps(live, wanted)
        self._final = contents(self._disk.directory, wanted)
        now = contents(self._disk.directory, live)
        same = {path: content for path, content in self._final.items() if now.get(path) == content}
        self._repairs = {path: item for path, item in same.items() if not self._disk.holds(path, item.render())}
        self._same = {path: item for path, item in same.items() if path not in self._repairs}
        mending = {Phase.REPOINT} if self._overrides or not self._steps else set()
        phases = frozenset({step.phase for step in self._steps} | mending)
        self._last = max(phases, key=list(Phase).index)
        return phases

    def run(self, phase: Phase, *, until: float) -> None:
        """Replace the files of each step and confirm it; then clear overrides and delete what is no longer needed."""
        moves = [step for step in self._steps if step.phase is phase]
        self._watch.begin()
        if self._same:
            self._writer.follow(self._same)
            self._same = {}
        self._remind(until)
        written: dict[str, Content] = {}
        for step in moves:
            expectation = self._send(step, written)
            look = self._look if step is self._steps[-1] and not self._overrides else None
            seen = self._watch.confirm(expectation, until=until, look=look)
            if seen.verdict is Verdict.REFUSED or (seen.verdict is Verdict.LATE and _secrets(seen)):
                raise self._refused(seen, step, moves[0], written)
            if seen.verdict is Verdict.LATE:
                late = lateness(seen, step, proxy=self._target.proxy, admin=self._admin, clock=self._clock)
                raise NotConfirmedError(late, hint=_unread(seen))
        if phase is Phase.REPOINT:
            self._mend()
        if phase is self._last:
            self._tidy()
            self._demand(until)

    def prove(self) -> Proven:
        """Compare what was sent with what serves; everything, if the process changed in between."""
        return self._reading.prove(self._types())

    def _look(self) -> Versions:
        return self._reading.look(self._types())

    def _types(self) -> frozenset[ResourceType]:
        return frozenset(ResourceType) if self._watch.restarted else read_with(frozenset(self._touched))

    def _send(self, step: Step, written: dict[str, Content]) -> Expectation:
        before, after = contents(self._disk.directory, step.before), contents(self._disk.directory, step.after)
        changed = {path: content for path, content in after.items() if before.get(path) != content}
        files, self._repairs = {**self._repairs, **changed}, {}
        order = sorted(files, key=lambda path: (_WRITE_ORDER[files[path].type], path))
        begun = self._clock.monotonic()
        written |= {path: changed[path] for path in order if path in changed}
        self._touched |= step.types
        self._writer.replace({path: files[path] for path in order})
        self.sent += self._clock.monotonic() - begun
        return _expected(changed, step, self._fresh)

    def _mend(self) -> None:
        """What is not a step: files that only the next restart would miss, and overrides, after the routes they shadow."""
        if self._repairs:
            self._writer.replace(dict(sorted(self._repairs.items())))
            self._repairs = {}
        if not self._overrides:
            return
        self._touched.add(ResourceType.RUNTIME)
        self._reading.forget()
        clear(self._admin, self._overrides)

    def _tidy(self) -> None:
        begun = self._clock.monotonic()
        with self._disk.alone():
            for path in self._disk.strays(self._final):
                self._disk.remove(path)
        self.sent += self._clock.monotonic() - begun

    def _remind(self, until: float) -> None:
        """Have new secrets read anew that Envoy may have refused before, for a listener that is still going."""
        for item in self._remembered.values():
            read_again(item, disk=self._disk, watch=self._watch, until=min(until, self._clock.monotonic() + REMINDING))
        self._remembered = MappingProxyType({})

    def _demand(self, until: float) -> None:
        """Have the secrets read anew that were not in force before the push, now that everything else is done."""
        if not self._lacking:
            return
        self._touched.add(ResourceType.SECRET)
        self._reading.forget()
        demand(id_.name for id_ in self._lacking)
        late = [
            id_.name
            for id_, item in sorted(self._lacking.items())
            if not read_again(item, disk=self._disk, watch=self._watch, until=until)
        ]
        if late:
            what = named(f"secret {name}" for name in late)
            raise NotConfirmedError(f"everything is sent, but {what} is not in force: {reason(late)}")

    def _refused(self, seen: Confirmation, step: Step, first: Step, written: dict[str, Content]) -> RefusedByEnvoyError:
        secrets = _secrets(seen) if ResourceType.SECRET in seen.refused or not seen.refused else []
        others = seen.refused - ({ResourceType.SECRET} if secrets else set())
        files = [path for path, content in written.items() if content.type in others]
        words = "; ".join(filter(None, (reason(secrets) if secrets else "", self._words(others) if others else "")))
        proxy = self._target.proxy
        resources = {ResourceId(ResourceType.SECRET, name) for name in secrets}
        resources |= blamed(step, others, proxy=proxy, admin=self._admin, clock=self._clock)
        back = self._take_back(first, written, others)
        what = named([*(f"secret {name}" for name in secrets), *files])
        said = f"in phase {step.phase} envoy refused {what}: {words}; {back}"
        return RefusedByEnvoyError(said, resources=resources)

    def _words(self, refused: frozenset[ResourceType]) -> str:
        """Envoy's own, which it keeps for listeners only."""
        if ResourceType.LISTENER in refused:
            types = frozenset({ResourceType.LISTENER})
            said = self._admin.observe(self._target.proxy, at=self._clock.now, types=types).rejections
            if said:
                return "; ".join(f"{item.type} {item.name}: {item.message}" for item in said)
        return "its log has the reason"

    def _take_back(self, first: Step, written: dict[str, Content], refused: frozenset[ResourceType]) -> str:
        """Put the files of a phase back to what serves, last one first; new ones go.

        Endpoints that change without a push stay, unless it was endpoints that Envoy refused.
        """
        self._reading.forget()
        before = contents(self._disk.directory, first.before)
        kept = {path for path, content in written.items() if content.moves and ResourceType.ENDPOINTS not in refused}
        again = [path for path in reversed(written) if path in before and path not in kept]
        try:
            with self._disk.alone():
                self._disk.replace([(path, before[path].render()) for path in again])
                for path in reversed(written):
                    if path not in before:
                        self._disk.remove(path)
        except WriteError as error:
            return f"the files in force could not be put back: {error.message}"
        required = {_subscription(before[path]): before[path].version for path in again}
        with suppress(AdminError):  # the refusal is what matters; whether it lives is the next pass's question
            self._watch.confirm(Expectation(required=required), until=self._clock.monotonic() + TAKING_BACK)
        return "the files that were in force are back"


def _unread(seen: Confirmation) -> str:
    """What to do about an Envoy that goes on as if nothing had been written: it refused nothing, and nothing warms."""
    if not seen.missing or seen.versions is None or seen.versions.warming or not seen.versions.live:
        return ""
    return (
        "this Envoy does not read what is written; restart it if its directory was deleted and made anew since it started, and"
        " check that its bootstrap names the directory of its Proxy"
    )


def _secrets(seen: Confirmation) -> list[str]:
    """Names of the secrets that Envoy shows no version of."""
    return [name for type_, name in seen.missing if type_ is ResourceType.SECRET]


def _newly_watched(live: State, wanted: State) -> int:
    """What Envoy will watch in addition, for a while at least: a changed cluster warms beside the old one.

    A secret is two: its file, and the folder of the files that it names.
    """
    single = [id_ for id_ in wanted if id_.type not in SETS]
    return sum(
        1 + (id_.type is ResourceType.SECRET)
        for id_ in single
        if id_ not in live or (id_.type is ResourceType.ENDPOINTS and _differs(live, wanted, id_.name))
    )


def _differs(live: State, wanted: State, cluster: str) -> bool:
    id_ = ResourceId(ResourceType.CLUSTER, cluster)
    return live.get(id_) != wanted.get(id_)


def _expected(changed: Layout, step: Step, fresh: Fresh) -> Expectation:
    """Sets and what is subscribed to must show the new version; nobody may have subscribed to new ones yet."""
    required: dict[tuple[ResourceType, str], str] = {}
    loose: dict[tuple[ResourceType, str], str] = {}
    among: dict[tuple[ResourceType, str], Given] = {}
    present: set[tuple[ResourceType, str]] = set()
    for content in changed.values():
        known = content.type in SETS or ResourceId(content.type, content.name) in step.before
        if content.moves:
            among[_subscription(content)] = Given(content.resources[0], fresh)
            present |= {_subscription(content)} if known else set()
        else:
            (required if known else loose)[_subscription(content)] = content.version
    types = {item.type for item in changed.values()}
    secrets = {(ResourceType.SECRET, name): version for name, version in awaited(step).items()}
    if secrets:
        required |= secrets
        loose = {key: version for key, version in loose.items() if key not in secrets}
        types.add(ResourceType.SECRET)
    return Expectation(
        required=required, loose=loose, among=among, present=frozenset(present), types=frozenset(types)
    )  # fmt: skip


def _subscription(content: Content) -> tuple[ResourceType, str]:
    return content.type, content.name
