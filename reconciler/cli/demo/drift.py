"""Somebody edits a live Envoy behind Git's back: its route file, replaced by hand with a maintenance page.

This is what the product must notice and undo, so nothing here uses the product's way to push.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.errors import BugError
from reconciler.model.files import ROUTES, SUFFIX

BY_HAND = "by-hand"
"""The version that the edited file says it has."""

PAGE = "maintenance"
"""What the edited Envoy says it is, instead of asking any application."""


@dataclass(frozen=True, slots=True)
class RouteFile:
    """A route file of one Envoy.

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
        """The file below a proxy's directory with a route to this service.

        Raises:
            BugError: There is none.
        """
        for path in sorted((directory / ROUTES).glob(f"*{SUFFIX}")):
            response, routes = _read(path)
            if any(name.rpartition("|")[2].startswith(f"{service}.") for name in _clusters(routes)):
                return cls(path, routes.name, response.version_info)
        raise BugError(f"no route file in {directory} sends traffic to {service}")

    def answer_here(self) -> None:
        """Replace the file, by rename as Envoy wants it, with one that answers every request itself, as if all were well."""
        response, routes = _read(self.path)
        for host in routes.virtual_hosts:
            for route in host.routes:
                route.direct_response.status = 200  # ends what the route did before: the two exclude each other
                route.direct_response.body.inline_string = json.dumps({"app": PAGE, "version": BY_HAND})
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


def _clusters(routes: RouteConfiguration) -> list[str]:
    """Names of all clusters that get requests, one way or the other."""
    actions = [route.route for host in routes.virtual_hosts for route in host.routes]
    return [name for item in actions for name in (item.cluster, *(one.name for one in item.weighted_clusters.clusters))]
