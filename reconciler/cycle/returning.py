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


class Returning:
    """Judges one plan. What it has to look up, it looks up once, and only if changes are held.

    Args:
        desired: What the plan is for.
        last: The newest receipt.
        base: What the commit of that receipt asks of a proxy.
        stacks: What receipts show as live, asked for once.
        since: What was not live since then is too old to go back to.
        rollouts: Whether rollouts may go on.
        watch: For the time it takes.
    """

    def __init__(
        self,
        repository: Repository,
        compiler: Compiler,
        *,
        desired: Desired,
        last: Receipt | None,
        base: Callable[[Key], View | None],
        stacks: Callable[[], Stacks],
        since: datetime,
        rollouts: bool,
        watch: Stopwatch,
    ) -> None:
        self._watch = watch
        self._repository = repository
        self._compiler = compiler
        self._desired = desired
        self._last = last
        self._base = base
        self._read = stacks
        self._since = since
        self._rollouts = rollouts

    def __call__(self, proxy: ProxyPlan) -> bool:
        """Whether a proxy's plan is let through."""
        wanted = self._desired.views[proxy.proxy].version
        before = self._base(proxy.proxy)
        if before is not None and before.version == wanted:
            return True  # what is in force already, or an abort that lies over it
        if self._by_rollouts:
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
    def _by_rollouts(self) -> bool:
        """Whether everything since the last receipt is what rollouts did, and may do now."""
        if self._last is None or not self._desired.commit:
            return False
        moves = frozenset(Move) if self._rollouts else _STOPS
        since, head = self._last.policy_commit, self._desired.commit
        return by_rollouts(self._repository, self._compiler, since=since, head=head, moves=moves, alike=self._alike)

    def _alike(self, one: str, other: str) -> bool:
        """Whether two commits ask the same of all proxies."""
        try:
            return self._asked(one) == self._asked(other)
        except ReconcilerError:
            return False

    def _asked(self, commit: str) -> dict[Key, str]:
        desired = self._compiler.desired(self._repository.tree(commit), self._watch)
        return {key: view.version for key, view in desired.views.items()}
