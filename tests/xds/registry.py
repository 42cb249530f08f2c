"""Endpoints that change without a pass: a registry in memory, and load assignments that follow it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from reconciler.model.resource import Resource, ResourceType
from reconciler.model.services import Endpoint, Health
from tests.xds.lab import address, made


@dataclass(frozen=True)
class Follows:
    """A recipe: all endpoints of a host, and some of its own.

    Attributes:
        name: Of the load assignment.
        own: Ports that are always in it.
    """

    host: str
    name: str
    own: tuple[int, ...] = ()

    def at(self, endpoints: Sequence[Endpoint]) -> Resource:
        """See `model.resource.Recipe`."""
        hosts: list[dict[str, object]] = [{"endpoint": {"address": address(port)}} for port in self.own]
        for item in endpoints:
            host: dict[str, object] = {"endpoint": {"address": address(item.ports[""], item.address)}}
            hosts.append(host if item.health is Health.HEALTHY else {**host, "health_status": item.health.name})
        found = made(ResourceType.ENDPOINTS, cluster_name=self.name, endpoints=[{"lb_endpoints": hosts}])
        return replace(found, recipe=self)


class Registry:
    """What is known of hosts; the newest is handed out, under a lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endpoints: dict[str, tuple[Endpoint, ...]] = {}
        self._made: dict[Follows, tuple[tuple[Endpoint, ...], Resource]] = {}

    def set(self, host: str, *ports: int, draining: Sequence[int] = ()) -> None:
        """A host has these ports of this machine, and these that are draining."""
        with self._lock:
            self._endpoints[host] = tuple(
                Endpoint("127.0.0.1", {"": port}, MappingProxyType({}), health=health, registry="lab")
                for health, many in ((Health.HEALTHY, ports), (Health.DRAINING, draining))
                for port in many
            )

    def made(self, host: str, name: str = "", *, own: Sequence[int] = ()) -> Resource:
        """A load assignment as a compiler would make it now."""
        with self._lock:
            return Follows(host, name or host, tuple(own)).at(self._endpoints.get(host, ()))

    def fresh(self, resource: Resource) -> Resource:
        """The same for the newest endpoints."""
        recipe = resource.recipe
        if recipe is None:
            return resource
        assert isinstance(recipe, Follows)
        with self._lock:
            endpoints = self._endpoints.get(recipe.host, ())
            known = self._made.get(recipe)
            if known is None or known[0] is not endpoints:
                known = self._made[recipe] = endpoints, recipe.at(endpoints)
            return known[1]
