"""Reading what callers have counted, as the engine takes it: who can't be read is named and contributes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.cycle.fleet import Fleet
from reconciler.cycle.walking.scope import Clusters
from reconciler.envoy import AdminError, Counters
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.reading import ProxyReading, Reading, SubsetReading, total


def read(fleet: Fleet, mesh: Mesh, scope: Mapping[Key, Clusters], *, at: datetime) -> Reading:
    """Ask all callers at once.

    Args:
        fleet: Who asks them.
        mesh: With the proxies of the scope.
        scope: Whom to ask for which clusters.
        at: When this counts as read.
    """
    members = [proxy for proxy in mesh.proxies if proxy.key in scope]
    answers = fleet.counters(members, {key: item.canary | item.stable for key, item in scope.items()})
    found: dict[Key, ProxyReading] = {}
    unread: dict[Key, str] = {}
    for key, answer in answers.items():
        if isinstance(answer, AdminError):
            unread[key] = answer.message
            continue
        found[key] = ProxyReading(
            epoch=answer.epoch,
            canary=_together(answer, scope[key].canary),
            stable=_together(answer, scope[key].stable),
        )
    return Reading(at=at, proxies=found, unread=unread)


def _together(counters: Counters, names: frozenset[str]) -> SubsetReading | None:
    """All clusters of one subset as one; a port's endpoints are those of every port, so the fewest count."""
    parts = [counters.clusters[name] for name in sorted(names) if name in counters.clusters]
    if not parts:
        return None
    return SubsetReading(counts=total(item.counts for item in parts), healthy=min(item.healthy for item in parts))
