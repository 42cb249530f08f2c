from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.receipt import OutcomeKind
from reconciler.push.disk import Disk
from reconciler.push.files import FilesWay
from reconciler.push.watches import Watches, WatchLimitError, instances, user_of
from reconciler.push.ways import Target
from tests.push.conftest import Backends, Ports
from tests.push.lab import Lab, SplitLab, apply, pushed, service
from tests.push.traffic import ask


def test_every_subscribed_file_costs_envoy_an_instance(lab: Lab, make_port: Ports, make_backend: Backends) -> None:
    """What the limit is counted in: one for each set, one for each route configuration and each cluster's endpoints."""
    process = Path(f"/proc/{lab.process.pid}")
    assert instances(process) == 2
    apply(lab, service(lab, "a", make_port(), make_backend("a")))
    assert instances(process) == 4


def test_a_push_that_would_end_envoy_is_refused(split_lab: SplitLab, make_port: Ports, make_backend: Backends) -> None:
    """Envoy aborts when it can't watch a file, so nothing is written, and the limit and its use are said."""
    lab, at, port = split_lab
    before = lab.bytes_on_disk()
    user = os.geteuid()
    full = Watches(limit=lambda: 10, used=lambda: {user: 9})

    def crowded(target: Target, admin: Admin, clock: Clock) -> FilesWay:
        return FilesWay(target, admin=admin, clock=clock, disk=Disk(str(lab.directory)), watches=full)

    more = [*at(100), *service(lab, "b", make_port(), make_backend("b"))]
    outcome = pushed([lab.target(more)], [lab], ways=crowded).outcomes[lab.proxy.key]
    assert (outcome.kind, outcome.pushed) == (OutcomeKind.FAILED, False)
    assert "2 more files" in outcome.detail
    assert "not so many of its 10" in outcome.detail
    assert lab.bytes_on_disk() == before
    assert pushed([lab.target(at(100))], [lab], ways=crowded).outcomes[lab.proxy.key].kind is OutcomeKind.APPLIED
    assert ask(port) == "v2"


def test_proxies_of_one_push_share_the_room() -> None:
    """Each is small enough alone; together they are not, and the last one hears it. Users don't share."""
    watches = Watches(limit=lambda: 10, used=lambda: {1: 4})
    watches.reserve(1, 3)
    watches.reserve(2, 10)
    with pytest.raises(WatchLimitError, match="not so many of its 10"):
        watches.reserve(1, 4)
    watches.reserve(1, 3)


def test_without_a_limit_there_is_room() -> None:
    """A machine that is not Linux has no such limit, and a push that adds no file does not even look."""

    def never() -> dict[int, int]:
        raise AssertionError

    Watches(limit=lambda: None, used=never).reserve(1, 1_000_000)
    Watches(limit=lambda: 1, used=never).reserve(1, 0)


def test_an_envoy_runs_as_the_owner_of_its_socket(tmp_path: Path) -> None:
    """The limit is the Envoy's user's; over TCP we can't tell and take our own."""
    (tmp_path / "admin.sock").touch()
    assert user_of(f"unix://{tmp_path}/admin.sock") == os.geteuid()
    assert user_of("http://127.0.0.1:1") == os.geteuid()
    assert user_of(f"unix://{tmp_path}/gone") == os.geteuid()
