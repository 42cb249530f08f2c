from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.demo.split import bounds
from tests.behaviour.client import send
from tests.behaviour.stage import Stage, standing, token
from tests.behaviour.table import Request, Row

_USERS = 200
_WEIGHTS = (5, 20, 50, 90)
_STICKY = {"consistentHash": {"httpHeaderName": "x-user"}}


def _rule(weight: int) -> dict[str, Any]:
    """A canary at this weight, at a path of its own: what one rule becomes as its weight is moved."""
    shares = (("stable", 100 - weight), ("canary", weight))
    route = [{"destination": {"host": "$host", "subset": name}, "weight": share} for name, share in shares]
    return {"match": [{"uri": {"exact": f"/{weight}"}}], "route": route}


_ROW = Row(
    rule="A canary",
    http=tuple(_rule(weight) for weight in _WEIGHTS),
    trafficPolicy={"loadBalancer": _STICKY},
    subsets=(
        {"name": "stable", "labels": {"backend": "blue"}},
        {"name": "canary", "labels": {"backend": "green"}},
    ),
    requests=(Request(send="GET /"),),
)  # fmt: skip


@pytest.fixture
def served(short_path: Path, envoy: str) -> Iterator[Stage]:  # noqa: ARG001 -- it must be there
    with standing([_ROW], short_path) as stage:
        assert stage.refusals == {}
        yield stage


@pytest.mark.parametrize("way", ["gateway", "sidecar"])
def test_a_user_once_in_the_canary_stays_as_its_weight_grows(served: Stage, way: str) -> None:
    """Nobody sees the new version, then the old one again, while the canary only grows; and the shares are as written."""
    before: set[int] = set()
    for weight in _WEIGHTS:
        request = Request(send=f"GET /{weight} x-user:user-{{n}}")
        replies = [send(served.call(_ROW, request, way, user), token()) for user in range(_USERS)]
        canary = {user for user, reply in enumerate(replies) if reply.backend == "green"}
        assert before <= canary, f"left the canary at {weight}%: {sorted(before - canary)}"
        low, high = bounds(_USERS, weight / 100, confidence=1 - 1e-9)
        assert low <= len(canary) <= high
        before = canary
