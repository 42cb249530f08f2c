"""Pushing by ADS: one step of the plan is a state that is published to the plane, and confirmed.

The plane sends what differs and hears what the proxy says to it; the admin endpoint says what is so. What a proxy refuses does not
stop it: that resource is held at what it has, whatever would need it is left as it serves, and everything else goes on. Load assignments
with recipes are sent meanwhile, whenever their endpoints change; what is published for them is only where they start from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.observation import Versions
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.push.byword import prove_by_word
from reconciler.push.connection import UNREAD, Connection
from reconciler.push.credentials import arriving, awaited, respelled
from reconciler.push.dependents import Spared, spare
from reconciler.push.ghosts import Ghosts
from reconciler.push.lateness import lateness
from reconciler.push.lost import Lost
from reconciler.push.overrides import clear, overridden
from reconciler.push.phases import Phase, State, Step, as_sent, live_state, renewed, state, steps
from reconciler.push.verify import Confirmation, Expectation, Reading, Verdict, Watch, read_with
from reconciler.push.ways import NotConfirmedError, Proven, RefusedByEnvoyError, Target
from reconciler.xds import Fresh, Hold, NodeState, Plane

SETS = (ResourceType.CLUSTER, ResourceType.LISTENER)
AGAIN = frozenset({ResourceType.LISTENER})
"""What is tried again in every pass: its fault may lie outside, a port in use. So may a secret's, which needs more than that."""

FIRST_LOOK = 0.1
"""Seconds after which the admin endpoint is read although the proxy has not answered everything: Envoy withholds answers."""

_WAITS = (0.001, 0.05)


class AdsWay:
    """Pushes to one `ads` proxy. See `ways.Way`.

    Args:
        admin: None for a proxy that has none: its own word is all there is.
        commit: The policy commit, which rides along.
    """

    def __init__(self, target: Target, *, plane: Plane, admin: Admin | None, clock: Clock, commit: str = "") -> None:
        self._target = target
        self._key = target.proxy.key
        self._plane = plane
        self._admin = admin
        self._clock = clock
        self._commit = commit
        self._link = Connection(plane, self._key, clock)
        self._watch = Watch(admin, clock=clock, baseline=target.observation.versions) if admin else None
        self._lost = Lost(plane, self._key)
        self._ghosts = Ghosts(plane, self._key, admin, clock) if admin else None
        self._reading = Reading(target, admin, at=clock.now) if admin else None
        self._wanted: State = renewed(state(target.view.resources), plane.fresh)
        self._live: State = as_sent(live_state(target.observation), self._wanted)
        self._before: State = MappingProxyType({})
        self._moving: State = MappingProxyType({id_: item for id_, item in self._wanted.items() if item.recipe})
        self._overrides = overridden(target.changes)
        self._steps: tuple[Step, ...] = ()
        self._spared = Spared(state=self._live)
        self._held: Mapping[ResourceId, Hold] = MappingProxyType({})
        self._owes = False
        self._again: dict[ResourceId, Resource] = {}
        self._touched: set[ResourceType] = set()
        self.sent = 0.0

    def prepare(self) -> frozenset[Phase]:
        """Plan the steps; tell the plane what serves if it does not know yet, so that only differences are sent."""
        known = self._link.require()
        if known.waiting == {ResourceType.ENDPOINTS}:  # these may be on their way at any time
            known = self._plane.wait(self._key, timeout=FIRST_LOOK)
        self._owes = bool(known.waiting)
        serving = any(id_.type in SETS for id_ in self._live)
        # One that has just started becomes ready with its listeners: they must not come a step later.
        whole = Step(phase=Phase.ADD, before=self._live, after=self._wanted)
        self._steps = steps(self._live, self._wanted) if serving else ((whole,) if whole.types else ())
        if not known.published and serving:
            # What moves is not taken back to what it was when it was read, nor to what a dump does not show of it.
            moving = {id_: item for id_, item in self._moving.items() if id_ in self._live}
            self._plane.publish(self._key, {**self._live, **moving}.values(), commit=self._commit)
            self._plane.wait(self._key, timeout=UNREAD)  # what it says that it has is what it is held at
        self._before = {id_: item for id_, item in self._plane.published(self._key).items() if item.recipe}
        fresh = self._plane.fresh
        self._plane.release(
            self._key, [id_ for id_, hold in known.held.items() if _in_force(self._live, id_, hold, fresh)]
        )  # fmt: skip
        self._have_read_again(known)
        if not self._steps:
            ensure(self._plane, self._target.view, commit=self._commit)
        mending = {Phase.REPOINT} if self._overrides or not self._steps else set()
        return frozenset({step.phase for step in self._steps} | mending)

    def run(self, phase: Phase, *, until: float) -> None:
        """Publish each step and confirm it; then clear overrides."""
        if self._owes:  # it has had its time
            until = min(until, self._clock.monotonic() + UNREAD)
        if self._watch is not None:
            self._watch.begin()
        for step in self._steps:
            if step.phase is phase:
                self._link.require(until)
                self._publish(step)
                self._lost.repair(item.id for item in step.put if item.id in self._moving and item.id in self._live)
                if any(item.id.type in AGAIN and item.id in self._held for item in step.put):
                    self._plane.retry(self._key, AGAIN)
                self._confirm(step, until)
        if phase is Phase.REPOINT and self._overrides and self._admin is not None and self._reading is not None:
            self._touched.add(ResourceType.RUNTIME)
            self._reading.forget()
            begun = self._clock.monotonic()
            clear(self._admin, self._overrides)
            self.sent += max(self._clock.monotonic() - begun, 1e-6)

    def prove(self) -> Proven:
        """Compare what was sent with what serves; everything, if the process changed in between."""
        if self._reading is None:
            self._plane.wait(self._key, timeout=UNREAD)  # what it has asked for since the last step is on its way
            return self._lost.noted(prove_by_word(self._target, self._plane, at=self._clock.now))
        return self._lost.noted(self._reading.prove(self._types()))

    @property
    def refusal(self) -> RefusedByEnvoyError | None:
        """What the proxy refused and has not got, in its own words, and what is left as it was because of that."""
        if not self._held:
            return None
        said = "; ".join(f"{id_}: {hold.words}" for id_, hold in self._held.items())
        skipped = "; ".join(
            f"{id_} is left as it was, because {cause} was refused" for id_, cause in self._spared.because.items()
        )
        return RefusedByEnvoyError("; ".join(filter(None, (said, skipped))), resources=self._held)

    def _types(self) -> frozenset[ResourceType]:
        restarted = self._watch is not None and self._watch.restarted
        return frozenset(ResourceType) if restarted else read_with(frozenset(self._touched))

    def _have_read_again(self, known: NodeState) -> None:
        """Have Envoy read the files of secrets that it has refused: it takes the same secret once more for done, and reads nothing."""
        seen = self._target.observation.versions
        refused = seen is not None and seen.rejected.get(ResourceType.SECRET, 0) > 0
        for id_, item in arriving(self._live, self._wanted).items():
            other = respelled(item)
            hold = known.held.get(id_)
            if hold is not None and hold.version == other.version:
                other = respelled(other)
            if refused or hold is not None:
                self._again[id_] = other
        if self._again:
            published = {**self._plane.published(self._key), **self._again}
            self._plane.publish(self._key, published.values(), commit=self._commit)
            self._plane.wait(self._key, timeout=UNREAD)

    def _publish(self, step: Step) -> None:
        begun = self._clock.monotonic()
        self._spared = self._as_far_as_possible(step)
        self._touched |= step.types
        self._plane.publish(self._key, self._spared.state.values(), gone=step.gone, commit=self._commit)
        self.sent += max(self._clock.monotonic() - begun, 1e-6)

    def _as_far_as_possible(self, step: Step) -> Spared:
        """What can be published of a step. What is held stays as it was refused: as anything else it would be sent again."""
        held, fresh = self._plane.state(self._key).held, self._plane.fresh
        kept = {
            id_: known[id_]
            for known in (self._wanted, self._again)
            for id_, hold in held.items()
            if _in_force(known, id_, hold, fresh)
        }
        # What serves, as it was read, may be older than what was sent since: until it is its turn, what moves does so as before.
        moving = {id_: item for id_, item in self._before.items() if id_ in step.after}
        # When it is, what no registry has a part in any more stands still from then on.
        due = [
            id_ for id_ in (*moving, *self._moving) if id_ in step.after and step.after[id_] == self._wanted.get(id_)
        ]
        moving |= {id_: self._wanted[id_] for id_ in due}
        after = MappingProxyType({**step.after, **moving, **kept})
        # What is to be in another version now is not held any more as soon as that is published.
        self._held = MappingProxyType({id_: hold for id_, hold in held.items() if _in_force(after, id_, hold, fresh)})
        absent = frozenset(id_ for id_, hold in self._held.items() if hold.kept is None and id_ not in self._live)
        return spare(after, live=self._live, absent=absent)

    def _confirm(self, step: Step, until: float) -> None:
        pause, wait = FIRST_LOOK, _WAITS[0]
        while True:
            seen = self._plane.wait(self._key, timeout=max(0.0, min(pause, until - self._clock.monotonic())))
            self._link.require(until)
            if self._learn(step, seen):
                continue
            look = self._look(step, seen, until)
            if look is None or look.verdict is Verdict.CONFIRMED:
                if self._agreed(step, seen):
                    return
                continue
            if self._clock.monotonic() > until:
                raise NotConfirmedError(self._lateness(look, step))
            self._exorcise(step, look)
            if seen.settled:
                self._clock.sleep(wait)
            pause, wait = min(pause * 1.6, 1.0), min(wait * 1.6, _WAITS[1])

    def _agreed(self, step: Step, seen: NodeState) -> bool:
        """Whether a look that shows everything is the end: nothing was refused since, and nothing taken for refused that was not."""
        now = self._plane.state(self._key)
        if now.held.keys() != seen.held.keys():
            return False
        suspected = self._ghosts.suspected(now) if self._ghosts is not None else frozenset[ResourceId]()
        if suspected:
            # What is published in another version in between is not held any more.
            without = {id_: item for id_, item in self._spared.state.items() if id_ not in suspected}
            again = without | {id_: self._live[id_] for id_ in suspected if id_ in self._live}
            self._plane.publish(self._key, again.values(), commit=self._commit)
            self._publish(step)
            return False
        self._held = now.held
        return True

    def _exorcise(self, step: Step, look: Confirmation) -> None:
        """Look for clusters that keep all others from being answered."""
        if self._ghosts is None:
            return
        strange = self._ghosts.find(step.put, look, self._plane.state(self._key))
        if strange:
            self._plane.publish(self._key, self._spared.state.values(), gone=strange, commit=self._commit)

    def _look(self, step: Step, seen: NodeState, until: float) -> Confirmation | None:
        """One look at the admin endpoint; None if there is nothing to look for."""
        if self._watch is None:
            return None if seen.settled else Confirmation(verdict=Verdict.LATE)
        # Reading everything stalls a large Envoy, so that is for a look that is likely to be the last.
        look = self._reread if seen.settled and step is self._steps[-1] and not self._overrides else None
        found = self._watch.once(self._expected(step, seen), until=until, look=look)
        return found or Confirmation(verdict=Verdict.LATE)

    def _reread(self) -> Versions:
        assert self._reading is not None  # noqa: S101 -- there is a watch
        return self._reading.look(self._types())

    def _learn(self, step: Step, seen: NodeState) -> bool:
        """Something was refused: leave out what would need it. Whether something else was published because of that."""
        new = seen.held.keys() - self._held.keys()
        if not new:
            return False
        if self._ghosts is not None:
            self._ghosts.lay([(id_, seen.held[id_]) for id_ in sorted(new)])
        before = self._spared.state
        if self._as_far_as_possible(step).state == before:
            return False
        self._publish(step)
        return True

    def _expected(self, step: Step, seen: NodeState) -> Expectation:
        """The sets as they are to be now; of what is asked for by name and was sent, one of the texts it was sent with."""
        among: dict[tuple[ResourceType, str], frozenset[str]] = {}
        # What has moved may have been sent before this step was published, with another text.
        moved = self._plane.answered(self._key, [item.id for item in step.put if item.id in self._moving])
        for item in step.put:
            type_ = item.id.type
            mine = self._spared.state.get(item.id) == item and item.id not in seen.held
            mine = mine and item.id not in moved
            if mine and type_ not in SETS and not (seen.settled and type_ not in seen.texts):
                among[type_, item.id.name] = seen.texts.get(type_, frozenset())
        required = {(type_, ""): seen.sets[type_] for type_ in SETS}
        asked = awaited(replace(step, after=self._spared.state))
        secrets = {name for name in asked if ResourceId(ResourceType.SECRET, name) not in seen.held}
        present = frozenset((ResourceType.SECRET, name) for name in secrets)
        return Expectation(required=required, among=among, present=present, connected=True)

    def _lateness(self, look: Confirmation, step: Step) -> str:
        if self._admin is None:
            waiting = ", ".join(sorted(self._plane.state(self._key).waiting))
            return f"in phase {step.phase} it has not answered in time: {waiting or 'nothing was read'}"
        return lateness(look, step, proxy=self._target.proxy, admin=self._admin, clock=self._clock)


def ensure(plane: Plane, view: View, *, commit: str) -> None:
    """Have a proxy served its view that has it already: by a daemon that was started since, or asked for something else since."""
    wanted = state(view.resources)
    if not plane.state(view.proxy).published or not _same(plane.published(view.proxy), wanted):
        plane.publish(view.proxy, wanted.values(), commit=commit)


def _same(published: State, wanted: State) -> bool:
    """Whether what was published is what is wanted. By the same recipe it is, whatever the endpoints were; by another it will not be."""
    return published.keys() == wanted.keys() and all(
        item.recipe is wanted[id_].recipe and (item.recipe is not None or item == wanted[id_])
        for id_, item in published.items()
    )


def _in_force(resources: State, id_: ResourceId, hold: Hold, fresh: Fresh) -> bool:
    """Whether this is the very version that is held."""
    return id_ in resources and fresh(resources[id_]).version == hold.version
