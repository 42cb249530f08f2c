"""What one proxy's admin endpoint said, and when. Never what was sent to it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId, ResourceType, set_version


class Proof(IntEnum):
    """How surely a proxy has what it was sent; each level includes the lower ones.

    SENT: it was handed over. ACKED: the proxy said so. CONFIRMED: the admin endpoint shows the versions, nothing warming,
    nothing newly rejected. EXACT: the normalised content is equal, with no orphans and no overrides that shadow it.
    PROBED: a request shows it.
    """

    NONE = 0
    SENT = 1
    ACKED = 2
    CONFIRMED = 3
    EXACT = 4
    PROBED = 5

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Rejection:
    """A configuration that Envoy refused, in Envoy's words.

    Attributes:
        name: The resource, or "" where Envoy does not say which.
    """

    type: ResourceType
    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The cheap reading: what a proxy says it runs, without the content.

    Attributes:
        versions: `version_text` by subscription: `(CLUSTER, "")` and `(LISTENER, "")` for the sets, `(ROUTE, name)`,
            `(ENDPOINTS, cluster)` and `(SECRET, name)` for the ones subscribed to by name.
        warming: Clusters and listeners that have been accepted and do not serve yet.
        rejected: Sum of `update_rejected` and `update_failure` by type; only growth means something.
        overrides: More than 0 if runtime values are set through the admin endpoint; Envoy says whether, not how many.
        epoch: Changes when the process restarts: counters begin again.
        live: Whether the server's state is LIVE.
        connected: Whether it says that it is connected to its ADS server; None if it has none.
    """

    versions: Mapping[tuple[ResourceType, str], str]
    warming: int
    rejected: Mapping[ResourceType, int]
    overrides: int
    epoch: str
    live: bool
    connected: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One proxy, read once.

    Attributes:
        at: When the reading ended, UTC.
        error: Why the proxy could not be read; then everything else is empty.
        resources: What serves, by id, canonical (comparable by version with a view's). RUNTIME entries are the overrides
            of the admin layer and, on a proxy that is pushed to by runtime, the final values of the keys it manages.
        foreign: Ids of static resources, which no push can change.
        rejections: What Envoy says it refused and has not replaced since.
        versions: The cheap reading that belongs to it.
    """

    proxy: Key
    at: datetime
    error: Diagnostic | None = None
    resources: Mapping[ResourceId, Resource] = field(default_factory=lambda: MappingProxyType({}))
    foreign: frozenset[ResourceId] = frozenset()
    rejections: tuple[Rejection, ...] = ()
    versions: Versions | None = None

    @property
    def reachable(self) -> bool:
        """Whether the admin endpoint answered sensibly."""
        return self.error is None

    @property
    def version(self) -> str:
        """The version of what serves, comparable with that of a view without discovered endpoints."""
        return self.version_without(())

    def version_without(self, ids: Container[ResourceId]) -> str:
        """The version of what serves, but for these: comparable with a view's if they are its discovered load assignments."""
        return set_version(item for id_, item in self.resources.items() if id_ not in ids)
