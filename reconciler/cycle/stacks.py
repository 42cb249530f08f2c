"""Receipts as stacks: for each proxy what it came from, by whole views and by the splits of its routes. Decides nothing.

History does not change, so each receipt is read once, and each commit of it compiled once, as far as somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from reconciler.cycle.desired import Compiler
from reconciler.cycle.report import Stopwatch
from reconciler.errors import ReconcilerError
from reconciler.gitrepo import Repository
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, Receipt
from reconciler.plan import splits
from reconciler.plan.stack import Route, Shares, Stack, by_route
from reconciler.record import Record

_RECEIPTS_BACK = 300
"""How many receipts are read at first, and views kept, however old: of what a stack begins with nobody knows what it undid."""
_VIEWS_BACK = 50
"""How many of a proxy's views are compiled for the splits in them."""


class Stacks:
    """What receipts show as live, by proxy."""

    def __init__(self, repository: Repository, compiler: Compiler) -> None:
        self._repository = repository
        self._compiler = compiler
        self._tip = ""
        self._views: dict[Key, Stack[str]] = {}
        self._commits: dict[tuple[Key, str], str] = {}
        self._shares: dict[tuple[Key, str], Mapping[Route, Shares]] = {}
        self._routes: dict[tuple[Key, Route], tuple[Stack[Shares], frozenset[Shares]]] = {}

    def read(self, record: Record, last: Receipt | None) -> None:
        """Take in what is new.

        Args:
            record: Where receipts are.
            last: Its newest one that can be read; while it is the same, nothing is asked.
        """
        if last is not None and last.commit == self._tip:
            return
        newer: list[Receipt] = []
        met = False
        if last is not None:
            for receipt in record.history(datetime.fromtimestamp(0, UTC)):
                met = receipt.commit == self._tip
                if met or len(newer) >= _RECEIPTS_BACK:
                    break
                newer.append(receipt)
        if not met:
            self._views.clear()
        self._routes.clear()
        for receipt in reversed(newer):
            self._show(receipt)
        for stack in self._views.values():
            stack.keep(_RECEIPTS_BACK)
        self._tip = last.commit if last is not None else ""
        there = {(key, level.state) for key, stack in self._views.items() for level in stack}
        self._commits = {known: commit for known, commit in self._commits.items() if known in there}
        self._shares = {known: shares for known, shares in self._shares.items() if known in there}

    def _show(self, receipt: Receipt) -> None:
        for key, entry in receipt.proxies.items():
            if entry.outcome is OutcomeKind.APPLIED:
                self._views.setdefault(key, Stack()).show(entry.view, receipt.at)
                self._commits.setdefault((key, entry.view), receipt.policy_commit)

    def has_view(self, key: Key, version: str, *, since: datetime) -> bool:
        """Whether a proxy has a whole view, or it is one to go back to, live at some time since then."""
        return key in self._views and self._views[key].holds(version, since=since)

    def has_shares(self, key: Key, route: Route, shares: Shares, *, since: datetime, watch: Stopwatch) -> bool:
        """The same of the shares of one route."""
        return self._route(key, route, watch)[0].holds(shares, since=since)

    def undid(self, key: Key, route: Route, shares: Shares, *, watch: Stopwatch) -> bool:
        """Whether a route had these shares, and somebody went back from there, whatever else the view had then."""
        stack, seen = self._route(key, route, watch)
        return shares in seen and all(level.state != shares for level in stack)

    def _route(self, key: Key, route: Route, watch: Stopwatch) -> tuple[Stack[Shares], frozenset[Shares]]:
        """A route's stack, and all that it had. What was undone as a whole view is left out: all routes went back with it."""
        known = self._routes.get((key, route))
        if known is not None:
            return known
        stack: Stack[Shares] = Stack()
        seen: set[Shares] = set()
        came = datetime.fromtimestamp(0, UTC)
        for level in list(self._views.get(key, ()))[-_VIEWS_BACK:]:
            shares = self._of(key, level.state, watch).get(route)
            if shares is not None:
                stack.show(shares, came)
                seen.add(shares)
            came = level.left or came
        found = self._routes[key, route] = stack, frozenset(seen)
        return found

    def _of(self, key: Key, version: str, watch: Stopwatch) -> Mapping[Route, Shares]:
        known = self._shares.get((key, version))
        if known is None:
            try:
                tree = self._repository.tree(self._commits[key, version])
                view = self._compiler.desired(tree, watch).views.get(key)
            except ReconcilerError:
                view = None
            known = self._shares[key, version] = by_route(splits(view)) if view is not None else {}
        return known
