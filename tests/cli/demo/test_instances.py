from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from reconciler.cli.demo.instances import CALLER, DETAILS, GUEST, LISTED, SERVICE, left_alone, only_endpoints
from reconciler.cli.demo.targets import MESH, Targets
from reconciler.cli.demo.witness import ClaimError
from reconciler.discovery.targets import from_json, read, services
from reconciler.model.services import Health
from reconciler.policy import load
from reconciler.settings import shipped
from tests.policy.memory import MemoryTree

PORTS = {LISTED: 4001, GUEST: 4002}
ENDPOINTS = (CALLER, f"cluster.{DETAILS}")


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    """A registry that lists nothing yet."""
    return Targets(tmp_path / "targets.json", app=SERVICE, ports=PORTS)


def mesh_with(targets: Targets) -> MemoryTree:
    """The shipped example, with this registry."""
    root = shipped("policies")
    texts = {f"policies/{file.relative_to(root).as_posix()}": file.read_text() for file in root.rglob("*.yaml")}
    return MemoryTree(texts | {MESH: targets.named_in(texts[MESH].encode()).decode()})


def test_what_is_published_is_what_the_product_reads(targets: Targets) -> None:
    """The file is one of Prometheus's, whose targets are instances of the example's service; the settings name that file."""
    loaded = load(mesh_with(targets))
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None
    (registry,) = loaded.mesh.settings.discovery
    spec = registry.file_sd
    assert spec is not None
    assert spec.files == (str(targets.path),)
    for versions, draining in (([LISTED], ""), ([LISTED, GUEST], ""), ([LISTED, GUEST], GUEST)):
        targets.publish(*versions, draining=draining)
        listing = read(from_json(targets.text.encode(), source="x"), spec, source="x", domain="cluster.local")
        found, problems = services([listing], spec, domain="cluster.local")
        assert problems == ()
        assert f"outbound|9080||{next(iter(found))}" == DETAILS
        (service,) = found.values()
        assert {item.labels["version"]: (item.ports[""], item.health) for item in service.instances} == {
            version: (PORTS[version], Health.DRAINING if version == draining else Health.HEALTHY)
            for version in versions
        }


def test_the_file_is_replaced_in_one_step(targets: Targets) -> None:
    """Whoever reads it sees the old list or the new one, and no draft is left beside it."""
    targets.publish(LISTED)
    with targets.path.open() as old:
        targets.publish(LISTED, GUEST)
        assert GUEST not in old.read()
    assert GUEST in targets.text
    assert [file.name for file in targets.path.parent.iterdir()] == ["targets.json"]


def test_anything_else_that_is_sent_is_no_proof() -> None:
    """One list more or less, another proxy, or a route beside it, and the demo fails."""
    only_endpoints(Counter({ENDPOINTS: 3}), lists=3)
    for sent in (
        {ENDPOINTS: 2},
        {ENDPOINTS: 3, ("reviews-v1", ENDPOINTS[1]): 1},
        {ENDPOINTS: 3, (CALLER, "http.x.rds.y"): 1},
    ):
        with pytest.raises(ClaimError, match="something else than 3 lists of the endpoints of details was sent"):
            only_endpoints(Counter(sent), lists=3)


def test_a_request_to_an_instance_that_drains_is_no_proof() -> None:
    """It is to have no further one until it is gone."""
    left_alone(7.0, 7.0)
    with pytest.raises(ClaimError, match="v4 had a request 250 ms after its last one, while it drained"):
        left_alone(7.0, 7.25)
