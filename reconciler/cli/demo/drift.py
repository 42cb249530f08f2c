"""Somebody edits a live Envoy behind Git's back: its route file, replaced by hand with other weights.

This is what the product must notice and undo, so nothing here uses the product's way to push.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.errors import BugError
from reconciler.model.files import ROUTES, SUFFIX

BY_HAND = "by-hand"
"""The version that the edited file says it has."""


@dataclass(frozen=True, slots=True)
class RouteFile:
    """A route file of one Envoy whose routes split traffic between subsets.

    Attributes:
        path: Where it is.
        name: Of the route configuration.
        version: That it had when it was found.
    """

    path: Path
    name: str
    version: str

    @classmethod
    def find(cls, directory: Path, *, service: str) -> RouteFile:
        """The file below a proxy's directory with a weighted split of this service.

        Raises:
            BugError: There is none.
        """
        for path in sorted((directory / ROUTES).glob(f"*{SUFFIX}")):
            response, routes = _read(path)
            if any(name.rpartition("|")[2].startswith(f"{service}.") for name in _shares(routes)):
                return cls(path, routes.name, response.version_info)
        raise BugError(f"no route file in {directory} splits the traffic to {service}")

    def send_all_to(self, subset: str) -> None:
        """Replace the file, by rename as Envoy wants it, with one that gives everything to one subset."""
        response, routes = _read(self.path)
        for host in routes.virtual_hosts:
            for route in host.routes:
                for cluster in route.route.weighted_clusters.clusters:
                    cluster.weight.value = 100 if f"|{subset}|" in cluster.name else 0
        response.version_info = BY_HAND
        response.resources[0].Pack(routes)
        draft = self.path.with_name(".draft")
        draft.write_bytes(response.SerializeToString())
        os.replace(draft, self.path)  # noqa: PTH105 -- the rename is the point


def _read(path: Path) -> tuple[DiscoveryResponse, RouteConfiguration]:
    response = DiscoveryResponse.FromString(path.read_bytes())
    routes = RouteConfiguration()
    response.resources[0].Unpack(routes)
    return response, routes


def _shares(routes: RouteConfiguration) -> list[str]:
    """Names of all clusters that share traffic by weight."""
    return [
        cluster.name
        for host in routes.virtual_hosts
        for route in host.routes
        for cluster in route.route.weighted_clusters.clusters
    ]
