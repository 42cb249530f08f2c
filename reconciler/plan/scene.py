"""What the guards look at: one proxy's plan as shares of traffic, live resources and endpoints, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.plan import Action, Cause, Change, ProxyPlan
from reconciler.model.proxy import Guards
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.plan.splits import Split, pair, route_splits, runtime_splits
from reconciler.plan.standstill import NO_STANDSTILL, Standstill

# HealthStatus in core/v3/health_check.proto: Envoy sends requests to these.
_SERVING = frozenset({0, 1, 5})  # UNKNOWN, HEALTHY, DEGRADED


@dataclass(frozen=True, slots=True)
class Rerouting:
    """One route before and after; `old` is None for a route that is new."""

    old: Split | None
    new: Split
    cause: Cause


@dataclass(frozen=True, slots=True)
class Scene:
    """One run of the guards over a plan.

    Attributes:
        limits: From the Mesh.
        views: What every proxy should have.
        verified: The splits that recent receipts prove; asked for at most once.
        prefixes: Runtime prefixes by proxy, where they are known.
        fresh: A resource with the newest endpoints; itself if it has no recipe, None where no registry was asked for them.
        silent: Registries of which nothing is known.
        standstill: What holds changes now.
    """

    limits: Guards
    views: Mapping[Key, View]
    verified: Callable[[], Sequence[Split]]
    prefixes: Mapping[Key, Collection[str]]
    fresh: Callable[[Resource], Resource | None] = lambda item: item
    silent: tuple[str, ...] = ()
    standstill: Standstill = NO_STANDSTILL
    _proven: list[frozenset[Split]] = field(default_factory=list)
    _pairs: dict[tuple[str, str], tuple[tuple[Split | None, Split], ...]] = field(default_factory=dict)
    _counted: dict[str, tuple[int, int]] = field(default_factory=dict)

    def proven(self, split: Split) -> bool:
        """Whether a recent receipt shows this split as verified."""
        if not self._proven:
            self._proven.append(frozenset(self.verified()))
        return split in self._proven[0]

    def view(self, proxy: ProxyPlan) -> View:
        """What a proxy should have."""
        return self.views.get(proxy.proxy) or View.of(proxy.proxy, ())

    def live(self, proxy: ProxyPlan) -> frozenset[ResourceId]:
        """What a proxy has: its view, less what is created, and what is deleted. Not overrides of a full configuration."""
        wanted = self.view(proxy).resources
        created = {change.id for change in proxy.changes if change.action is Action.CREATE}
        return frozenset((wanted.keys() - created) | self.deleted(proxy))

    def deleted(self, proxy: ProxyPlan) -> frozenset[ResourceId]:
        """What a proxy is to lose of its resources. Not overrides of a full configuration: those are no resources."""
        by_runtime = all(id_.type is ResourceType.RUNTIME for id_ in self.view(proxy).resources)
        return frozenset(
            change.id
            for change in proxy.changes
            if change.action is Action.DELETE and (by_runtime or change.id.type is not ResourceType.RUNTIME)
        )

    def reroutings(self, proxy: ProxyPlan) -> Iterator[Rerouting]:
        """Every route whose shares change, or that is new."""
        for change in proxy.changes:
            if change.id.type is ResourceType.ROUTE and change.new is not None:
                for old, new in self._moved(change.old, change.new):
                    yield Rerouting(old, new, change.cause)
        keys = [change for change in proxy.changes if change.id.type is ResourceType.RUNTIME]
        if keys:
            yield from self._runtime(proxy, keys)

    def _runtime(self, proxy: ProxyPlan, keys: Sequence[Change]) -> Iterator[Rerouting]:
        prefixes = self.prefixes.get(proxy.proxy, ())
        after = {item.id.name: item for item in self.view(proxy).of_type(ResourceType.RUNTIME)}
        touched = {change.id.name: change for change in keys}
        before = {name: item for name, item in after.items() if name not in touched}
        before |= {name: change.old for name, change in touched.items() if change.old is not None}
        drift = any(change.cause is Cause.DRIFT for change in keys)
        for old, new in pair(
            runtime_splits(before, prefixes=prefixes), runtime_splits(after, prefixes=prefixes)
        ):  # fmt: skip
            yield Rerouting(old, new, Cause.DRIFT if drift else Cause.CHANGE)

    def _moved(self, old: Resource | None, new: Resource) -> tuple[tuple[Split | None, Split], ...]:
        # Several guards ask, on many proxies that change alike.
        key = (old.version if old else "", new.version)
        if key not in self._pairs:
            pairs = pair(route_splits(old) if old else (), route_splits(new))
            self._pairs[key] = tuple((was, now) for was, now in pairs if was is None or was.shares != now.shares)
        return self._pairs[key]

    def serving(self, proxy: ProxyPlan, cluster: str) -> tuple[int, int] | None:
        """How many of a cluster's endpoints in a proxy's view can take requests, and how many there are.

        None where a view can't say: the cluster isn't in it, its endpoints are found by DNS or come from elsewhere, or registries
        may list them and none was asked.
        """
        try:
            return self._serving(self.view(proxy), cluster)
        except DecodeError:
            return None

    def _serving(self, view: View, name: str) -> tuple[int, int] | None:
        item = view.resources.get(ResourceId(ResourceType.CLUSTER, name))
        if item is None:
            return None
        cluster: Any = protos.decode(item)
        kind = type(cluster).DiscoveryType.Name(cluster.type)
        if kind not in {"EDS", "STATIC"} or cluster.HasField("cluster_type"):
            return None
        if kind == "STATIC":
            return _count(cluster.load_assignment)
        wanted = ResourceId(ResourceType.ENDPOINTS, cluster.eds_cluster_config.service_name or name)
        found = view.resources.get(wanted)
        if found is None:
            return (0, 0)
        newest = self.fresh(found)
        if newest is None:
            return None
        if newest.version not in self._counted:  # members of a fleet share what may be ten thousand endpoints
            self._counted[newest.version] = _count(protos.decode(newest))
        return self._counted[newest.version]


def _count(assignment: Any) -> tuple[int, int]:
    endpoints = [endpoint for locality in assignment.endpoints for endpoint in locality.lb_endpoints]
    return (sum(endpoint.health_status in _SERVING for endpoint in endpoints), len(endpoints))
