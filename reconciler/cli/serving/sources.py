"""Where the parts of the offer read what is known at the moment that they are asked: each a function of the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reconciler.model.key import Key

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.xds import NodeState


def admins_of(session: Session) -> Callable[[], Mapping[Key, str]]:
    """Admin endpoints by proxy, of those that passes have asked."""
    return lambda: {key: admin.address for key, admin in session.fleet.admins().items()}


def connections_of(session: Session) -> Callable[[], Mapping[Key, NodeState]]:
    """The proxies' streams; empty without ADS."""
    return session.plane.states if session.plane is not None else dict


def record_of(session: Session) -> Callable[[], str]:
    """Names the record branch as the newest pass has seen it."""
    from reconciler.model.proxy import RecordSettings

    def record() -> str:
        found = session.discovery.inventory
        return (found.desired.mesh.settings.record if found is not None else RecordSettings()).branch

    return record
