"""Where an Envoy gets what its listeners and clusters refer to, by its way of being pushed to."""

from __future__ import annotations

from dataclasses import dataclass

from envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource

from reconciler.model.files import path_of
from reconciler.model.resource import ResourceId, ResourceType


@dataclass(frozen=True, slots=True)
class FilesSource:
    """Envoy's filesystem xDS in one directory: a file for each set, route configuration and cluster's endpoints."""

    directory: str

    def of(self, type_: ResourceType, name: str = "") -> ConfigSource:
        """The config source of a resource; of the set for clusters and listeners.

        It has no fetch timeout, as in Istio: what is not there yet keeps its listener or cluster from serving.
        """
        source = ConfigSource(resource_api_version=ApiVersion.V3)
        source.path_config_source.path = path_of(self.directory, ResourceId(type_, name))
        source.initial_fetch_timeout.FromSeconds(0)
        return source
