"""Where a scrape reads what is known at its moment. Each is called on a thread of the web server's, and has to be quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.clock import Clock
from reconciler.daemon.state import State
from reconciler.model.discovered import Standing
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.xds import NodeState


def _nothing() -> None:
    """No mesh is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is read.

    Attributes:
        state: The daemon's, at this instant.
        ready: Whether it can answer for the fleet.
        clock: What ages are counted by.
        ref: The policy branch.
        committed: The time of a commit, UTC; None if it can't be told. Called by the loop, for each new commit once.
        mesh: The policies that were carried out last; None before the first pass.
        connections: The streams, by proxy.
        standings: The registries.
    """

    state: Callable[[], State]
    ready: Callable[[], bool]
    clock: Clock
    ref: str
    committed: Callable[[str], datetime | None]
    mesh: Callable[[], Mesh | None] = _nothing
    connections: Callable[[], Mapping[Key, NodeState]] = dict
    standings: Callable[[], Sequence[Standing]] = tuple
