"""The stages plan and guard: what each proxy lacks and why, and what is dangerous about it. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from reconciler.clock import Clock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.discovering import Discovery
from reconciler.cycle.guarding import guarded
from reconciler.cycle.history import ARRIVED, VerifiedSplits, acknowledging, commits_since_applied, everybody
from reconciler.cycle.lately import Lately
from reconciler.cycle.report import Stage, Stopwatch
from reconciler.cycle.returning import ByRollouts, Returning
from reconciler.cycle.stacks import Stacks
from reconciler.cycle.standstill import held, notes
from reconciler.cycle.targets import left_behind
from reconciler.errors import ReconcilerError
from reconciler.gitrepo import Repository
from reconciler.model.discovered import Knowledge
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation
from reconciler.model.plan import Change, Plan, ProxyPlan
from reconciler.model.proxy import Proxy
from reconciler.model.receipt import OutcomeKind, Receipt
from reconciler.model.resource import View
from reconciler.plan import Differ, Split, plan_proxy
from reconciler.plan.standstill import NO_STANDSTILL, Standstill
from reconciler.record import Record

_ROLLBACK = timedelta(days=30)
"""How old a receipt may be that exempts the split it shows from the guard against large increases."""


class Planner:
    """Makes plans. Remembers field differences, because a fleet and its next pass repeat them.

    Args:
        stepping: The splits of a commit that rollouts ask for: no increase of them is refused.
        discovery: What registries list.
        trusted: Whether a commit's trailers count.
    """

    def __init__(
        self,
        repository: Repository,
        compiler: Compiler,
        clock: Clock,
        *,
        stepping: Callable[[Desired], Sequence[Split]] = lambda _: (),
        discovery: Discovery | None = None,
        trusted: Callable[[str], bool] = everybody,
    ) -> None:
        self._trusted = trusted
        self._repository = repository
        self._compiler = compiler
        self._clock = clock
        self._stepping = stepping
        self._discovery = discovery or Discovery()
        self._differ = Differ()
        self._lately = Lately()
        self._asked: tuple[str, str, tuple[Key, ...]] | None = None
        self._saying: tuple[tuple[str, frozenset[str]], ...] = ()
        self._verified = VerifiedSplits(repository, compiler)
        self._stacks = Stacks(repository, compiler)
        self._by_rollouts = ByRollouts(repository, compiler)

    def plan(
        self,
        ask: Ask,
        desired: Desired,
        proxies: Sequence[Policy[Proxy]],
        observations: Mapping[Key, Observation],
        *,
        record: Record,
        last: Receipt | None,
        watch: Stopwatch,
    ) -> Plan:
        """The fleet's plan, judged by the guards."""
        fresh = self._discovery.trial(self._compiler, desired)
        settings, now = desired.mesh.settings, self._clock.now()
        listed, standings = self._lately.listed(desired), self._discovery.standings(desired.mesh)
        with watch.stage(Stage.PLAN):
            plans = tuple(
                self._settled(
                    plan_proxy(
                        desired.views[proxy.key],
                        observations[proxy.key],
                        receipt_view=_receipt_view(last, proxy.key),
                        bases=partial(self._bases, last, proxy.key, record=record, watch=watch),
                        notes=desired.notes.get(proxy.key, ()),
                        differ=self._differ,
                        fresh=fresh,
                        listed=listed,
                    )
                )
                for proxy in proxies
            )
            gone = left_behind(self._declared(last, watch), desired.mesh)
            doubts = self._discovery.warnings(desired.mesh)
            plan = Plan(
                commit=desired.commit,
                proxies=plans,
                warnings=(*desired.warnings, *doubts, *gone, *notes(settings, now)),
            )
        with watch.stage(Stage.GUARD):
            oldest = now - _ROLLBACK
            return guarded(
                plan,
                desired,
                allow=ask.allow,
                acknowledged=partial(self._acknowledged, plan, record=record, last=last),
                verified=lambda: (*self._stepping(desired), *self._verified.since(record, oldest, watch, last=last)),
                plan_digest=ask.plan_digest,
                silent=[item.registry for item in standings if item.knowledge is Knowledge.SILENT],
                fresh=fresh,
                standstill=self._standstill(desired, now, record=record, last=last, watch=watch),
            )

    def _standstill(
        self, desired: Desired, now: datetime, *, record: Record, last: Receipt | None, watch: Stopwatch
    ) -> Standstill:
        found, oldest = held(desired.mesh.settings, now), now - _ROLLBACK
        if not (found.frozen or found.suspended):
            return NO_STANDSTILL

        def stacks() -> Stacks:
            self._stacks.read(record, last)
            return self._stacks

        passes = Returning(
            desired=desired,
            base=lambda key: self.base(last, key, watch),
            stacks=stacks,
            since=oldest,
            moved=lambda: self._by_rollouts(desired, last, rollouts=not found.rollouts, watch=watch),
            watch=watch,
        )
        return Standstill(frozen=found.frozen, suspended=found.suspended, passes=passes)

    def _settled(self, plan: ProxyPlan) -> ProxyPlan:
        """Without endpoints that were sent beside passes a moment ago: the proxy was asked before they arrived, or we after."""
        kept = tuple(item for item in plan.changes if not self._under_way(item))
        settled = len(plan.changes) - len(kept)
        return replace(plan, changes=kept, unchanged=plan.unchanged + settled) if settled else plan

    def _under_way(self, change: Change) -> bool:
        recipe = change.new.recipe if change.new is not None and change.old is not None else None
        return recipe is not None and self._discovery.under_way(recipe.host)

    def base(self, last: Receipt | None, key: Key, watch: Stopwatch) -> View | None:
        """What the proxy should have had by the newest receipt; None if that commit can't be compiled any more."""
        return self._view(last.policy_commit, key, watch) if last else None

    def _declared(self, last: Receipt | None, watch: Stopwatch) -> frozenset[Key]:
        """The proxies of the newest receipt that documents declared; who announced itself comes and goes."""
        if last is None:
            return frozenset()
        try:
            declared = self._compiler.desired(self._repository.tree(last.policy_commit), watch).declared
        except ReconcilerError:
            return frozenset(last.proxies)
        return declared & last.proxies.keys()

    def _bases(self, last: Receipt | None, key: Key, *, record: Record, watch: Stopwatch) -> tuple[View, ...]:
        """What Git has asked of a proxy and the proxy may have: of a push that did not get there, something of each."""
        entry = last.proxies.get(key) if last else None
        commits = [last.policy_commit] if last else []
        if entry is not None and entry.outcome not in ARRIVED:
            commits += commits_since_applied(record, [key])
        found = (self._view(commit, key, watch) for commit in dict.fromkeys(commits))
        return tuple(view for view in found if view is not None)

    def _acknowledged(self, plan: Plan, *, record: Record, last: Receipt | None) -> frozenset[str]:
        """What commits allow: those that the proxies of this plan have not all been brought to yet, and the newer ones."""
        changed = tuple(item.proxy for item in plan.proxies if item.changes)
        asked = (last.commit if last else "", plan.commit, changed)
        if last is None or asked != self._asked:
            commits = commits_since_applied(record, changed) if last else ()
            self._saying = acknowledging(self._repository, commits[-1] if commits else None, plan.commit)
            self._asked = asked
        return frozenset(code for commit, codes in self._saying if self._trusted(commit) for code in codes)

    def _view(self, commit: str, key: Key, watch: Stopwatch) -> View | None:
        try:
            return self._compiler.desired(self._repository.tree(commit), watch).views.get(key)
        except ReconcilerError:
            return None


def _receipt_view(last: Receipt | None, key: Key) -> str:
    entry = last.proxies.get(key) if last else None
    if entry is None:
        return ""
    # What was recorded of a drifted proxy is no state that anybody asked for: it must not make its drift look like a change.
    return entry.view if entry.outcome is not OutcomeKind.DRIFTED else f"drifted {entry.view}"
