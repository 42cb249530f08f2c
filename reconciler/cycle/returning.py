"""What passes while changes are held: what brings nothing new, what goes back to where it came from, and what rollouts may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.report import Stopwatch
from reconciler.cycle.stacks import Stacks
from reconciler.cycle.walking.landed import by_rollouts
from reconciler.errors import ReconcilerError
from reconciler.gitrepo import Repository
from reconciler.model.key import Key
from reconciler.model.plan import ProxyPlan
from reconciler.model.receipt import Receipt
from reconciler.model.resource import View
from reconciler.plan import splits
from reconciler.plan.stack import Route, Shares, by_route
from reconciler.plan.standstill import goes_back
from reconciler.rollouts.decision import Move

_STOPS = frozenset({Move.ABORT, Move.PAUSE})
"""What a rollout may do at any time."""


class ByRollouts:
    """Whether everything since the last receipt is what rollouts did, and may do now. Remembers the last answer."""

    def __init__(self, repository: Repository, compiler: Compiler) -> None:
        self._repository = repository
        self._compiler = compiler
        self._known: tuple[Desired, str, bool, bool] | None = None

    def __call__(self, desired: Desired, last: Receipt | None, *, rollouts: bool, watch: Stopwatch) -> bool:
        """Ask of what a plan is for; it is another object once the same commit asks something else.

        Args:
            desired: Of the head.
            last: The newest receipt.
            rollouts: Whether rollouts may go on.
            watch: For the time it takes.
        """
        if last is None or not desired.commit:
            return False
        since = last.policy_commit
        if self._known is not None and self._known[0] is desired and self._known[1:3] == (since, rollouts):
            return self._known[3]
        found = by_rollouts(
            self._repository,
            self._compiler,
            since=since,
            head=desired.commit,
            moves=frozenset(Move) if rollouts else _STOPS,
            alike=lambda one, other: self._alike(one, other, watch),
        )
        self._known = desired, since, rollouts, found
        return found

    def _alike(self, one: str, other: str, watch: Stopwatch) -> bool:
        """Whether two commits ask the same of all proxies."""
        try:
            return self._asked(one, watch) == self._asked(other, watch)
        except ReconcilerError:
            return False

    def _asked(self, commit: str, watch: Stopwatch) -> dict[Key, str]:
        desired = self._compiler.desired(self._repository.tree(commit), watch)
        return {key: view.version for key, view in desired.views.items()}


class Returning:
    """Judges one plan. What it has to look up, it looks up once, and only if changes are held.

    Args:
        desired: What the plan is for.
        base: What the commit of the newest receipt asks of a proxy.
        stacks: What receipts show as live, asked for once.
        since: What was not live since then is too old to go back to.
        moved: Whether all that is new is what rollouts did; asked once.
        watch: For the time it takes.
    """

    def __init__(
        self,
        *,
        desired: Desired,
        base: Callable[[Key], View | None],
        stacks: Callable[[], Stacks],
        since: datetime,
        moved: Callable[[], bool],
        watch: Stopwatch,
    ) -> None:
        self._watch = watch
        self._desired = desired
        self._base = base
        self._read = stacks
        self._since = since
        self._ask_moved = moved

    def __call__(self, proxy: ProxyPlan) -> bool:
        """Whether a proxy's plan is let through."""
        wanted = self._desired.views[proxy.proxy].version
        before = self._base(proxy.proxy)
        if before is not None and before.version == wanted:
            return True  # what is in force already, or an abort that lies over it
        if self._moved:
            return True
        return self._is_before(proxy.proxy) or goes_back(proxy, partial(self._lower, proxy.proxy), base=before)

    def _is_before(self, key: Key) -> bool:
        """Whether the whole view is one that the proxy came from, and none of its routes goes forward again with that."""
        wanted = self._desired.views[key]
        if not self._stacks.has_view(key, wanted.version, since=self._since):
            return False
        return not any(
            self._stacks.undid(key, route, shares, watch=self._watch)
            for route, shares in by_route(splits(wanted)).items()
        )

    def _lower(self, key: Key, route: Route, shares: Shares) -> bool:
        return self._stacks.has_shares(key, route, shares, since=self._since, watch=self._watch)

    @cached_property
    def _stacks(self) -> Stacks:
        return self._read()

    @cached_property
    def _moved(self) -> bool:
        return self._ask_moved()
