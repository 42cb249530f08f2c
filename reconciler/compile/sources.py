"""Where an Envoy gets what its listeners and clusters refer to, by its way of being pushed to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource

from reconciler.model.files import path_of
from reconciler.model.resource import ResourceId, ResourceType

_V3 = ApiVersion.Value("V3")


class Source(Protocol):
    """Says in a resource where Envoy finds what that refers to. Equal sources make equal resources."""

    def of(self, type_: ResourceType, name: str = "") -> ConfigSource:
        """The config source of a resource; of the set for clusters and listeners."""

    def fill(self, source: Any, type_: ResourceType, name: str = "") -> None:
        """Write the config source of a resource into an empty one.

        It has no fetch timeout, as in Istio: what is not there yet keeps its listener or cluster from serving.
        """


@dataclass(frozen=True, slots=True)
class AdsSource:
    """The stream that everything else comes by."""

    def of(self, type_: ResourceType, name: str = "") -> ConfigSource:
        """The same for every resource."""
        source = ConfigSource()
        self.fill(source, type_, name)
        return source

    def fill(self, source: Any, type_: ResourceType, name: str = "") -> None:
        """Write it into an empty one."""
        del type_, name
        source.resource_api_version = _V3
        source.ads.SetInParent()
        source.initial_fetch_timeout.SetInParent()


@dataclass(frozen=True, slots=True)
class FilesSource:
    """Envoy's filesystem xDS in one directory: a file for each set, route configuration and cluster's endpoints."""

    directory: str

    def of(self, type_: ResourceType, name: str = "") -> ConfigSource:
        """The config source of a resource; of the set for clusters and listeners."""
        source = ConfigSource()
        self.fill(source, type_, name)
        return source

    def fill(self, source: Any, type_: ResourceType, name: str = "") -> None:
        """Write the config source of a resource into an empty one."""
        source.resource_api_version = _V3
        source.path_config_source.path = path_of(self.directory, ResourceId(type_, name))
        source.initial_fetch_timeout.SetInParent()
