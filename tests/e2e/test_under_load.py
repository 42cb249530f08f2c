from __future__ import annotations

import time
from itertools import cycle

import pytest

from tests.e2e.rig import Rig
from tests.e2e.test_kill import added


def test_no_request_fails_while_weights_move_and_a_service_comes_and_goes(
    rig: Rig, request: pytest.FixtureRequest
) -> None:
    """Under constant load, weight changes and the addition and removal of a whole service cost not one request."""
    full = request.config.getoption("--full")
    changes, requests = (50, 20_000) if full else (12, 2_000)
    rig.run()
    with rig.traffic(rate=0, connections=4) as traffic:
        for number, percent in zip(range(changes), cycle([5, 30, 55, 80, 100, 70, 40, 10]), strict=False):
            rig.commit(rig.routes(100 - percent, percent), f"{number}: v2 at {percent}%")
            rig.apply()
        for files in (added(rig), rig.files() | {"policies/extra.yaml": None}):
            rig.commit(files, "A service comes or goes")
            rig.apply(allow=frozenset({"guard-delete-percent"}))
        deadline = time.monotonic() + 300
        while traffic.tally().requests < requests:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    tally = traffic.tally()
    assert tally.requests >= requests
    assert tally.failed == 0, (tally.outcomes, tally.failures)
