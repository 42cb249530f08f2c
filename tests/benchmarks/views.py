"""The view of one sidecar in a large mesh, compiled by the product; one weight of it can be changed."""

from __future__ import annotations

from typing import Any

from reconciler.cycle.desired import Compiler
from reconciler.cycle.report import Stopwatch, silent
from reconciler.model.protos import decode, resource
from reconciler.model.resource import Resource, ResourceId, ResourceType
from tests.benchmarks.mesh_trees import PROXY, MemoryTrees, Texts, service

HOT = ResourceId(ResourceType.ROUTE, "9080")
"""The route configuration that changes: of a port that only one service has."""

ADS = PROXY.replace("    files:\n      directory: /var/lib/envoy/caller\n", "    ads: {}\n")


class Mesh:
    """Services, and what a sidecar has of them: three clusters each, their endpoints, one route configuration for port 80.

    Args:
        services: How many; one more is on a port of its own. None at all is an empty view.
    """

    def __init__(self, services: int) -> None:
        self.view: tuple[Resource, ...] = ()
        self._hot: Any = None
        if services:
            texts = {**Texts(services).all(), "policies/caller.yaml": ADS}
            texts["policies/hot.yaml"] = service(services).replace("number: 80", "number: 9080")
            desired = Compiler().desired(MemoryTrees().commit(texts), Stopwatch(silent))
            (view,) = desired.views.values()
            self.view = tuple(view.resources.values())
            self._hot = decode(view.resources[HOT])

    def changed(self, number: int) -> tuple[Resource, ...]:
        """The view with another weight in one route of the hot configuration."""
        if self._hot is None:
            return ()
        first, second = self._hot.virtual_hosts[0].routes[1].route.weighted_clusters.clusters
        first.weight.value, second.weight.value = 10_000 - number, number
        made = resource(ResourceType.ROUTE, self._hot)
        self.view = tuple(made if item.id == HOT else item for item in self.view)
        return self.view
