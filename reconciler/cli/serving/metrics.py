"""The daemon's own metrics: where they are read, and the loop that they watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.errors import ReconcilerError
from reconciler.model.key import Key

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.daemon import Daemon
    from reconciler.daemon.metrics import Metrics
    from reconciler.model.mesh import Mesh
    from reconciler.xds import NodeState


def metrics(
    loop: Daemon,
    session: Session,
    ref: str,
    *,
    ready: Callable[[], bool],
    connections: Callable[[], Mapping[Key, NodeState]],
) -> Metrics:
    """The metrics of a loop, which from now on tells them of its passes."""
    from reconciler.daemon.metrics import Metrics, Sources

    def committed(commit: str) -> datetime | None:
        try:
            return session.repository.commit_info(commit).at
        except ReconcilerError:  # history that is cut off
            return None

    def mesh() -> Mesh | None:
        inventory = session.discovery.inventory
        return inventory.desired.source if inventory is not None else None

    found = Metrics(
        Sources(
            state=lambda: loop.state,
            ready=ready,
            clock=session.clock,
            ref=ref,
            committed=committed,
            mesh=mesh,
            connections=connections,
            standings=lambda: session.discovery.present.standings,
        )
    )
    loop.watch(found.tally)
    return found
