from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.cli.demo.example import next_version
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.traffic import Traffic
from reconciler.errors import PolicyError
from reconciler.settings import shipped
from tests.cli.demo.leftovers import processes_of, wait_until_gone, wait_until_there

CHILD = """
import signal
from reconciler.cli.demo.stage import Stage
for number in (signal.SIGTERM, signal.SIGHUP):  # whoever runs the tests may ignore them, as nohup does
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
with Stage() as stage:
    stage.daemon("--interval", "200ms")
    with stage.traffic(rate=50):
        print("up", flush=True)
        while True:
            signal.pause()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private TMPDIR with a short path."""
    with tempfile.TemporaryDirectory(prefix="t-") as path:
        yield Path(path).resolve()


@pytest.fixture
def private(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, for stages in this process."""
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_the_shipped_example_stands_on_free_ports(private: Path) -> None:
    """Every proxy of the example is a real Envoy in a private folder; policies, clone and remote are at one commit."""
    with Stage() as stage:
        assert stage.root.parent == private
        assert set(stage.envoys) == {proxy.key.name for proxy in stage.mesh.proxies}
        assert len({envoy.pid for envoy in stage.envoys.values()}) == len(stage.envoys)
        assert stage.clone.tip("main") == stage.clone.git("rev-parse", "HEAD")
        assert stage.gateway != 8080
        assert stage.egress("productpage-v1")
        assert not stage.egress("details-v1")
        assert not stage.counts()
        assert all(len(stage.proxy(name).spec.admin.removeprefix("unix://")) < 100 for name in stage.envoys)
    wait_until_gone(private)


def test_one_pass_carries_a_request_through_all_sidecars(private: Path) -> None:
    """With the daemon's own pass, what enters at the gateway is answered by every application on its way."""
    with Stage() as stage:
        daemon = stage.daemon("--interval", "200ms")
        while "ready" not in daemon.read():
            daemon.check()
            time.sleep(0.01)
        done = stage.reconcile()
        assert (done.code, done.err) == (0, "")
        traffic = stage.traffic(rate=0, limit=50)
        traffic.start()
        traffic.join()
        tally = traffic.tally()
        assert (tally.outcomes, tally.versions) == ({"200": 50}, {"v1": 50}), tally.failures
        assert stage.counts() == {"productpage-v1": 50, "details-v1": 50, "reviews-v1": 50}
    wait_until_gone(private)


def test_one_more_instance_is_run_before_git_has_it(private: Path) -> None:
    """Its application and its Envoy start, on ports of the stage; the file is in the work tree, and nobody committed it."""
    with Stage() as stage:
        before = stage.clone.tip("main")
        example = (shipped("policies") / "details" / "v1.yaml").read_bytes()
        stage.enlist("policies/details/v2.yaml", next_version(example))
        assert stage.clone.git("status", "--porcelain") == "?? policies/details/v2.yaml"
        assert stage.clone.tip("main") == before
        assert b"9112" not in stage.clone.read("policies/details/v2.yaml")
        assert len(stage.envoys) == len(stage.mesh.proxies) == 8
        pid = stage.envoys["details-v2"].pid
        assert pid in processes_of(private)
        (app,) = (item.spec for item in stage.mesh.sidecars if item.key.name == "details-v2")
        port = int(app.ingress[0].default_endpoint.rpartition(":")[2])
        with Traffic(port=port, authority="details", rate=0, limit=3) as traffic:
            traffic.join()
        assert stage.counts() == {"details-v2": 3}
    wait_until_gone(private)


def test_an_application_of_the_stage_fails_when_it_is_told_to(private: Path) -> None:
    """That one, and no other; a name that nobody has is a mistake of whoever says it."""
    with Stage(envoys=False) as stage:
        stage.fail("details-v1", 1.0)
        with pytest.raises(KeyError, match="details-v9"):
            stage.fail("details-v9", 1.0)
        ports = {}
        for name in ("details-v1", "reviews-v1"):
            (car,) = (item.spec for item in stage.mesh.sidecars if item.key.name == name)
            ports[name] = int(car.ingress[0].default_endpoint.rpartition(":")[2])
        failed = {}
        for name, port in ports.items():
            with Traffic(port=port, authority="x", rate=0, limit=4) as traffic:
                traffic.join()
            failed[name] = traffic.tally().ordered
        assert failed == {"details-v1": 4, "reviews-v1": 0}
        assert stage.failures() == {"details-v1": 4}
    wait_until_gone(private)


def test_instances_that_nobody_declares_run_beside_the_others(private: Path) -> None:
    """They are applications without sidecars, counted and timed with all others; Git and the mesh know nothing of them."""
    with Stage(envoys=False) as stage:
        before = stage.mesh
        ports = stage.hire("details", "v3", "v4")
        for port in ports.values():
            with Traffic(port=port, authority="details", rate=0, limit=2) as traffic:
                traffic.join()
        assert stage.counts() == {"details-v3": 2, "details-v4": 2}
        assert stage.times().keys() == {"details-v3", "details-v4"}
        assert stage.times()["details-v3"][1] < stage.times()["details-v4"][0]
        assert stage.mesh is before
        assert stage.clone.git("status", "--porcelain") == ""
    wait_until_gone(private)


def test_nothing_is_left_after_an_exception(private: Path) -> None:
    """Processes, files, ports and signal handlers are as before, whatever happened inside."""
    before = signal.getsignal(signal.SIGTERM)
    ports = []

    def fail() -> None:
        with Stage() as stage:
            ports.append(stage.gateway)
            wait_until_there(private, stage.daemon("--interval", "200ms").pid)
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    wait_until_gone(private)
    assert signal.getsignal(signal.SIGTERM) is before
    with socket.socket() as strict:
        strict.bind(("127.0.0.1", *ports))


def test_nothing_is_left_when_it_can_not_be_set_up(tmp_path: Path, private: Path) -> None:
    """Policies that can't be used end it with their diagnostics before anything runs."""
    (tmp_path / "broken.yaml").write_text("apiVersion: networking.istio.io/v1\nkind: Nonsense\nmetadata: {name: x}\n")
    with pytest.raises(PolicyError, match=r"policies/broken\.yaml:2"), Stage(policies=tmp_path):
        pass
    wait_until_gone(private)


@pytest.mark.long
def test_a_long_tmpdir_gets_short_sockets(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a Unix socket has a limit of about 100 bytes, which a folder for temporary files may exceed by itself."""
    deep = private / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with Stage() as stage:
        sockets = [Path(proxy.spec.admin.removeprefix("unix://")) for proxy in stage.mesh.proxies]
        assert all(len(str(path)) < 100 and path.is_socket() for path in sockets)
        daemon = stage.daemon("--interval", "200ms")
        while "ready" not in daemon.read():
            daemon.check()
            time.sleep(0.01)
        assert stage.control.is_socket()
        assert stage.control.parent.parent == sockets[0].parent.parent
    assert not any(path.parent.parent.exists() for path in sockets)
    assert list(deep.iterdir()) == []


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "folder": lambda folder: any(folder.iterdir()),
    "clone": lambda folder: any(folder.glob("*/clone/policies")),
    "backends": lambda folder: any(folder.glob("*/backends-1.log")),
    "envoys": lambda folder: any(folder.glob("*/envoy/*/envoy.log")),
    "daemon": lambda folder: any(folder.glob("*/daemon.log")),
}


def start(folder: Path) -> subprocess.Popen[str]:
    """A process that holds a stage, as a terminal would start it."""
    environ = os.environ | {"TMPDIR": str(folder)}
    return subprocess.Popen([sys.executable, "-c", CHILD], env=environ, stdout=subprocess.PIPE, text=True)


def stop(process: subprocess.Popen[str], *signals: signal.Signals) -> int:
    """Send these, one right after the other, and wait for the end."""
    with process:
        try:
            for signum in signals:
                process.send_signal(signum)
            return process.wait(30)
        finally:
            process.kill()


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_while_it_is_being_set_up_leaves_nothing(folder: Path, moment: str) -> None:
    """A signal that comes between two steps, or in the middle of one, takes down exactly what is there."""
    process = start(folder)
    while not MOMENTS[moment](folder):
        assert process.poll() is None
        time.sleep(0.001)
    assert stop(process, signal.SIGINT) != 0
    wait_until_gone(folder)


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGINT,),
        (signal.SIGTERM,),
        pytest.param((signal.SIGHUP,), marks=pytest.mark.long),
        pytest.param((signal.SIGINT, signal.SIGINT), marks=pytest.mark.long),
        (signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGTERM),
    ],
    ids=lambda signals: "+".join(signum.name for signum in signals),
)
def test_signals_under_traffic_leave_nothing(folder: Path, signals: tuple[signal.Signals, ...]) -> None:
    """With daemon and traffic running, any polite signal, also several of them, ends everything."""
    process = start(folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert len(processes_of(folder)) >= 9
    assert stop(process, *signals) != 0
    wait_until_gone(folder)
