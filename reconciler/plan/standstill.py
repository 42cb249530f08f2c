"""What the guards know of freezes and suspensions: that changes are held, in words, and which plans go back to what was live. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from reconciler.model.plan import Cause, Change, ProxyPlan
from reconciler.model.resource import Resource, ResourceType, View
from reconciler.plan.splits import route_splits
from reconciler.plan.stack import Route, Shares, by_route


def _never(_: ProxyPlan) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Standstill:
    """What holds changes at one time.

    Attributes:
        frozen: Why, until when and by what, if a freeze does; "" if none does.
        suspended: The same of a suspension.
        passes: Whether one proxy's plan is let through: it brings nothing new, goes back, or aborts. Asked only if it matters.
    """

    frozen: str = ""
    suspended: str = ""
    passes: Callable[[ProxyPlan], bool] = _never

    def objection(self, proxy: ProxyPlan, words: str) -> str:
        """The words, if they hold this proxy's plan; "" otherwise."""
        return words if words and any(_by_git(proxy.changes)) and not self.passes(proxy) else ""


NO_STANDSTILL = Standstill()


def goes_back(proxy: ProxyPlan, lower: Callable[[Route, Shares], bool], *, base: View | None) -> bool:
    """Whether all that is new is weights, of shares that a route came from: a rollback, with whatever else was merged since.

    Args:
        proxy: One proxy's plan.
        lower: Whether a route has these shares or came from them, see `plan.stack`.
        base: What is in force; what only repairs that is not new.
    """
    there = base.resources if base is not None else {}
    new = (change for change in _by_git(proxy.changes) if _version(change.new) != _version(there.get(change.id)))
    return all(_only_weights(change) and _known(change.new, lower) for change in new)


def _by_git(changes: Iterable[Change]) -> Iterator[Change]:
    """Not what registries list. What drifted counts too: it may get what Git says now, and not what it said before."""
    return (change for change in changes if change.cause is not Cause.DISCOVERY)


def _version(resource: Resource | None) -> str:
    return resource.version if resource is not None else ""


def _only_weights(change: Change) -> bool:
    if change.id.type is not ResourceType.ROUTE or change.old is None or change.new is None:
        return False
    return bool(change.fields) and all(item.path.rpartition(".")[2] in _WEIGHTS for item in change.fields)


_WEIGHTS = frozenset({"weight", "total_weight"})


def _known(resource: Resource | None, lower: Callable[[Route, Shares], bool]) -> bool:
    return resource is not None and all(lower(*item) for item in by_route(route_splits(resource)).items())
