"""Whatever a registry lists, a real Envoy takes what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.discovery.keeping.sound import service
from reconciler.discovery.merging.merger import Merger
from reconciler.http import HttpClient
from reconciler.model.discovered import Found, Instance
from reconciler.model.resource import Recipe
from reconciler.model.services import Health
from reconciler.settings import AdminSettings
from tests.discovery.declaring import HTTP, catalogue
from tests.discovery.test_merging_compiled import LOADED, ONLY, views
from tests.envoy.live import Live, running, until

TEXT = st.one_of(st.sampled_from(["", "r/z/s", "a/b/c/d", "/", "\ud800", "a\0b", "é"]), st.text(max_size=8))
ODD = st.builds(
    Instance,
    address=st.one_of(
        st.ip_addresses().map(str),
        st.sampled_from(["", "localhost", "::ffff:10.0.0.1", "fe80::1%1", "010.0.0.1", "10.1", "0.0.0.0", "unix://"]),  # noqa: S104
        st.integers(95, 120).map(lambda length: "unix:///" + "a" * length),
        st.text(max_size=6).map("unix:///{}".format),
        TEXT,
    ),
    ports=st.dictionaries(st.sampled_from(["http", "", "other"]), st.integers(-1, 70_000) | st.just(2**40), max_size=2),
    labels=st.dictionaries(TEXT, TEXT, max_size=2),
    weight=st.integers(-1, 2) | st.sampled_from([2**31, 2**32 - 1, 2**32, 2**70]),
    health=st.sampled_from(Health),
    locality=TEXT,
    service_account=TEXT,
)
GOOD = Instance(address="10.0.0.1", ports={"http": 80})
VERSIONS = count()


def recipe() -> Recipe:
    """Of the load assignment of a service that a registry lists."""
    assert LOADED.mesh is not None
    merged = Merger().merged(LOADED.services, LOADED.mesh, catalogue(("k", Found(host=ONLY, ports=(HTTP,)))))
    found = (item.recipe for view in views(LOADED.mesh, merged) for item in view.resources.values())
    return next(item for item in found if item is not None and item.host == ONLY)


RECIPE = recipe()
CLUSTER = RECIPE.at(()).id.name


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An Envoy that waits for the load assignment."""
    with running(tmp_path_factory.mktemp("e"), lambda files: [files.cluster(CLUSTER), RECIPE.at(())]) as live:
        yield live


def counted(live: Live, name: str) -> int:
    with HttpClient(live.admin.address, AdminSettings()) as client:
        return int(client.get(f"/stats?filter=only.*update_{name}$").text.rpartition(":")[2])


@settings(max_examples=60, deadline=None)
@given(st.lists(ODD, max_size=6))
def test_whatever_is_listed_is_accepted(live: Live, odd: list[Instance]) -> None:
    """With all instances that are well in it: one that is odd holds back none."""
    assert LOADED.mesh is not None
    used, _ = service(Found(host=ONLY, ports=(HTTP,), instances=(GOOD, *odd, replace(GOOD, address="10.0.0.2"))))
    merged = Merger().merged(LOADED.services, LOADED.mesh, catalogue(("k", used)))
    assert {"10.0.0.1", "10.0.0.2"} <= {item.address for item in merged.endpoints[ONLY]}
    new, before = RECIPE.at(merged.endpoints[ONLY]), counted(live, "success")
    live.put(new.id, [new], str(next(VERSIONS)))
    until(lambda: counted(live, "success") > before or counted(live, "rejected") > 0)
    assert counted(live, "rejected") == 0, live.process.log.read_text()[-500:]
