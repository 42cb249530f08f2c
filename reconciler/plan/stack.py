"""What was live one after another, read as a stack: going back to a state undoes what came after it. Pure.

So that going back and going forward again differ: the state before an abort was live once, and is no state to go back to any more.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from reconciler.plan.splits import Split

_S = TypeVar("_S", bound=Hashable)

Route = tuple[str, str, str]
"""A route by its RouteConfiguration, its virtual host and its name; routes that have these in common go together."""

Shares = tuple[tuple[tuple[str, float], ...], ...]
"""What the routes of one such name give to which cluster, in percent."""


@dataclass(slots=True)
class Level(Generic[_S]):
    """One state of a stack.

    Attributes:
        state: What was live.
        left: When another took its place, UTC; None for the top.
    """

    state: _S
    left: datetime | None = None


class Stack(Generic[_S]):
    """The top is live; below it is what it came from. A state that comes again takes away all that is above it."""

    def __init__(self) -> None:
        self._levels: list[Level[_S]] = []
        self._at: dict[_S, int] = {}

    def show(self, state: _S, at: datetime) -> None:
        """A state is live, from a time on that is no earlier than those before."""
        found = self._at.get(state)
        if found is None:
            if self._levels:
                self._levels[-1].left = at
            self._at[state] = len(self._levels)
            self._levels.append(Level(state))
            return
        for level in self._levels[found + 1 :]:
            del self._at[level.state]
        if len(self._levels) > found + 1:
            del self._levels[found + 1 :]
            self._levels[found].left = None

    def keep(self, levels: int) -> None:
        """Forget what is further below the top than so many levels."""
        if len(self._levels) > levels:
            del self._levels[:-levels]
            self._at = {level.state: number for number, level in enumerate(self._levels)}

    def __iter__(self) -> Iterator[Level[_S]]:
        """All levels, the oldest first."""
        return iter(self._levels)

    def holds(self, state: _S, *, since: datetime) -> bool:
        """Whether a state is live, or below what is and was live at some time since then."""
        found = self._at.get(state)
        if found is None:
            return False
        left = self._levels[found].left
        return left is None or left >= since


def by_route(found: Iterable[Split]) -> dict[Route, Shares]:
    """The shares of each route."""
    shares: dict[Route, Shares] = {}
    for split in found:
        route = (split.route_config, split.virtual_host, split.route)
        shares[route] = (*shares.get(route, ()), split.shares)
    return shares
