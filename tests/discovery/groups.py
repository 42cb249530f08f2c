"""Target groups as Prometheus's tools write them, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.clock import SystemClock
from reconciler.discovery.conformance import Member
from reconciler.discovery.contract import Surroundings
from reconciler.model.services import Health

AROUND = Surroundings(registry="targets", domain="cluster.local", clock=SystemClock())


def full(service: str) -> str:
    return f"{service}.default.svc.cluster.local"


def groups(services: Mapping[str, Sequence[Member]]) -> list[dict[str, Any]]:
    """One group for each instance: so they may have labels of their own."""
    return [
        {
            "targets": [f"{member.address}:{member.port}"],
            "labels": {"job": service, **member.labels}
            | ({} if member.health is Health.HEALTHY else {"__health__": str(member.health)}),
        }
        for service, members in services.items()
        for member in members
    ]


def group(*targets: Any, **labels: Any) -> dict[str, Any]:
    return {"targets": list(targets), "labels": {"job": "reviews"} | labels}
