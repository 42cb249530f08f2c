"""Why what a proxy has differs from what it should have: Git moved, the proxy moved, or a registry says something else.

Between the observation and `diff`. Looks at content only; what needs hashing or compiling is done once, and only if something differs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.model.observation import Observation
from reconciler.model.plan import Cause
from reconciler.model.resource import Resource, ResourceId, ResourceType, View

_HOSTS = frozenset({ResourceType.CLUSTER, ResourceType.ENDPOINTS})
"""Types whose names end in a service's host, as Istio has them."""


class Bases:
    """The views that Git may have brought the proxy to: made at most once, and only if somebody asks."""

    def __init__(self, make: Callable[[], Sequence[View]]) -> None:
        self._make = make
        self._made: list[Sequence[View]] = []

    def __call__(self) -> Sequence[View]:
        """They."""
        if not self._made:
            self._made.append(self._make())
        return self._made[0]


@dataclass(frozen=True, slots=True)
class Causes:
    """Why one proxy's resources differ; `plan_proxy` has the rules.

    Attributes:
        view: What should be.
        receipt_view: Version of the view in the proxy's last receipt, or "".
        listed: Hosts that only registries declare.
    """

    view: View
    observation: Observation
    receipt_view: str
    bases: Bases
    overrides_are_drift: bool
    listed: Collection[str] = ()
    _known: list[bool] = field(default_factory=list)

    def of(self, id_: ResourceId, live: Resource | None) -> Cause:
        """Why this one differs from what is live."""
        if self.overrides_are_drift and id_.type is ResourceType.RUNTIME:
            return Cause.DRIFT
        if self._repairs_endpoints(id_):
            return Cause.DISCOVERY
        if not self.receipt_view:
            return Cause.CHANGE
        if self._is_as_recorded():
            return Cause.DISCOVERY if self.listed and self._is_no_matter_of_git(id_) else Cause.CHANGE
        if self._is_listed(id_) and self._is_no_matter_of_git(id_):
            return Cause.DISCOVERY
        return Cause.CHANGE if self._was_found(id_) or _version(live) in self._asked(id_) else Cause.DRIFT

    def _was_found(self, id_: ResourceId) -> bool:
        """Whether instances were found for it by what Git asked for before, and are not any more: it names another registry, or none.

        Which of them are live nobody has recorded.
        """
        wanted = self.view.resources.get(id_)
        if wanted is None or wanted.recipe is not None or id_.type is not ResourceType.ENDPOINTS:
            return False
        before = (view.resources.get(id_) for view in self.bases())
        return any(item is not None and item.recipe is not None for item in before)

    def _repairs_endpoints(self, id_: ResourceId) -> bool:
        """Whether these are the endpoints of a discovered service, in a cluster that is there already."""
        wanted = self.view.resources.get(id_)
        if wanted is None or wanted.recipe is None:
            return False
        cluster = ResourceId(ResourceType.CLUSTER, id_.name)
        return id_ in self.observation.resources or cluster in self.observation.resources

    def _is_no_matter_of_git(self, id_: ResourceId) -> bool:
        """Whether Git asked for the same before: what its last commit compiles to, with what registries say now."""
        return _version(self.view.resources.get(id_)) in self._asked(id_)

    def _asked(self, id_: ResourceId) -> Iterator[str | None]:
        return (_version(view.resources.get(id_)) for view in self.bases())

    def _is_listed(self, id_: ResourceId) -> bool:
        return id_.type in _HOSTS and id_.name.rpartition("|")[2] in self.listed

    def _is_as_recorded(self) -> bool:
        # Hashing a set of thousands costs milliseconds, and most passes find nothing to explain.
        if not self._known:
            self._known.append(
                any(self.observation.version_without(ids) == self.receipt_view for ids in self._outside())
            )
        return self._known[0]

    def _outside(self) -> Iterator[Collection[ResourceId]]:
        """The load assignments that may not have counted in the receipt: services are found and lost between receipts."""
        now = self.view.discovered
        yield now
        live = (id_ for id_ in self.observation.resources if id_.type is ResourceType.ENDPOINTS)
        gone = {id_ for id_ in live if id_ not in self.view.resources}
        if gone:
            yield now | gone
        if now:
            yield ()


def _version(item: Resource | None) -> str | None:
    """What two of them have in common that are alike but for the instances behind them."""
    if item is None:
        return None
    return item.version if item.recipe is None else f"recipe of {item.recipe.host}"
