"""Who comes back to a mesh of sidecars: processes that start while nothing usable is wanted, proxies that left for a while."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.sidecars import Sidecars


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecars]:
    """A caller and one instance of each version."""
    with Sidecars(tmp_path_factory.mktemp("s")) as mesh:
        yield mesh


def _listeners(mesh: Sidecars, name: str) -> list[str]:
    found = json.loads(mesh.observe(name, "/listeners?format=json"))
    return [item["name"] for item in found.get("listener_statuses", ()) if item["name"] != "observer"]


@pytest.mark.long
def test_everybody_starts_anew_while_the_head_is_invalid_and_gets_the_last_good_commit(mesh: Sidecars) -> None:
    """The daemon too, which has no memory but Git's: a bad commit is no outage, however much restarts after it."""
    mesh.start_all()
    assert mesh.daemon.stop() == 0
    for envoy in mesh.envoys.values():
        envoy.kill()
    mesh.commit({"policies/more.yaml": "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"}, "Half a document")
    mesh.daemon.start()
    for envoy in mesh.envoys.values():
        envoy.start()
    mesh.wait(lambda: all(_listeners(mesh, name) for name in mesh.envoys), "listeners everywhere")
    assert mesh.served(20) == {"v1": 20}
    assert mesh.receipts()[0][0] != mesh.head()


@pytest.mark.long
def test_who_starts_anew_while_a_guard_refuses_the_head_gets_the_last_good_commit(mesh: Sidecars) -> None:
    """Others, which run, are the reason for the refusal; the daemon has started since, too."""
    careful = mesh.files()["policies/mesh.yaml"].replace("maxWeightIncrease: 100", "maxWeightIncrease: 10")
    mesh.commit({"policies/mesh.yaml": careful}, "Be careful")
    mesh.start_all()
    assert mesh.daemon.stop() == 0
    mesh.envoys["b-1"].kill()
    mesh.split(90)
    mesh.daemon.start()
    mesh.envoys["b-1"].start()
    mesh.wait(lambda: bool(_listeners(mesh, "b-1")), "its listener")
    assert mesh.served(20) == {"v1": 20}
    assert mesh.receipts()[0][0] != mesh.head()


@pytest.mark.long
def test_a_proxy_that_left_and_comes_back_has_the_present_and_nothing_meanwhile(mesh: Sidecars) -> None:
    """Its Envoy keeps what it has, a new process of it is sent nothing, and back in Git it is brought to what has changed."""
    mesh.start_all()
    proxy = mesh.files()["policies/a-1.yaml"]
    mesh.commit({"policies/a-1.yaml": None}, "a-1 goes")
    mesh.applied(mesh.split(100))
    assert mesh.served(10) == {"v1": 10}
    mesh.envoys["a-1"].kill()
    mesh.envoys["a-1"].start(ready=False)
    mesh.wait(lambda: mesh.counter("a-1", r"cluster_manager\.cds\.update_attempt") > 0, "its first words")
    assert not _listeners(mesh, "a-1")
    mesh.applied(mesh.commit({"policies/a-1.yaml": proxy}, "a-1 comes back"))
    assert mesh.served(10) == {"v2": 10}


@pytest.mark.long
def test_a_proxy_that_is_pushed_to_by_files_for_a_while_is_served_nothing_out_of_date(mesh: Sidecars) -> None:
    """An Envoy that still has its old bootstrap then gets nothing by ADS, and the present when its Proxy is on ADS again."""
    mesh.start_all()
    before = mesh.files()["policies/a-1.yaml"]
    files = before.replace("push: {ads: {}}", f"push: {{files: {{directory: {mesh.folder / 'x'}}}}}")
    assert files != before
    ran = mesh.daemon.read().count("ads-stranger")
    mesh.commit({"policies/a-1.yaml": files}, "By files")
    mesh.wait(lambda: mesh.daemon.read().count("ads-stranger") > ran, "the pass that says so")
    mesh.split(100)
    mesh.envoys["a-1"].kill()
    mesh.envoys["a-1"].start(ready=False)
    mesh.wait(lambda: mesh.counter("a-1", r"cluster_manager\.cds\.update_attempt") > 0, "its first words")
    ended = time.monotonic() + 2
    while time.monotonic() < ended:
        assert not _listeners(mesh, "a-1")
    mesh.applied(mesh.commit({"policies/a-1.yaml": before}, "By ADS"))
    assert mesh.served(10) == {"v2": 10}
