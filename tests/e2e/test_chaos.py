"""Whatever happens to a mesh of sidecars, in whatever order: it ends where Git wants it, and no healthy caller notices."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.e2e.chaos import Chaos
from tests.e2e.sidecars import Sidecars

_SEED = "CHAOS_SEED"
"""In the environment: the first seed, to see again what a failed run has seen."""

_EVENTS, _FULL_SEEDS, _FULL_EVENTS = 12, 25, 30
_PATIENCE = 60.0


def test_whatever_happens_all_converges_and_no_request_fails_without_a_cause(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    """Commits, poison, killed and frozen processes, strange peers: afterwards all is live, in sync, and said to be so."""
    full = request.config.getoption("--full")
    first = int(os.environ.get(_SEED, time.time_ns() % 100_000 if full else 1))
    for seed in range(first, first + (_FULL_SEEDS if full else 1)):
        _run(tmp_path_factory.mktemp("x"), seed, _FULL_EVENTS if full else _EVENTS)


def _run(folder: Path, seed: int, events: int) -> None:
    with Sidecars(folder) as mesh:
        mesh.start_all()
        mesh.commit({"policies/b-3.yaml": mesh.instance("b-3")}, "Another instance")
        mesh.start("b-3")
        mesh.applied(mesh.commit({"policies/b-3.yaml": None}, "Not yet"))
        chaos = Chaos(mesh, seed)
        try:
            with mesh.traffic(rate=100, timeout=15) as traffic:
                chaos.happen(events)
                chaos.calm()
                _converges(chaos)
            assert chaos.failed(traffic) == []
            served = mesh.served(100)
            assert served.keys() == {version for version, share in chaos.shares().items() if share}, served
        except BaseException as error:
            error.add_note(f"{_SEED}={seed}:\n" + "\n".join(chaos.said) + "\n" + mesh.daemon.tail(40))
            raise


def _converges(chaos: Chaos) -> None:
    mesh = chaos.mesh
    head = mesh.head()
    deadline = time.monotonic() + _PATIENCE
    while mesh.receipts()[:1] != [(head, "applied")]:
        assert time.monotonic() < deadline, f"{head[:10]} is not applied within {_PATIENCE:g} s: {mesh.record()}"
        time.sleep(0.05)
    ran = mesh.command("--dry-run", "--exit-code")
    assert ran.code == 0, ran.out + ran.err
    status = json.loads(mesh.command("status", "--output", "json").out)
    states = {item["proxy"]: item["state"] for item in status["proxies"]}
    assert {states[f"default/{name}"] for name in chaos.members} == {"in-sync"}, states
