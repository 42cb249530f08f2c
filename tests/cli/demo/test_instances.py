from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from reconciler.cli.demo.instances import (
    CALLER,
    DETAILS,
    GUEST,
    LISTED,
    SERVICE,
    guest_drains,
    left_alone,
    only_endpoints,
)
from reconciler.cli.demo.targets import MESH, Targets
from reconciler.cli.demo.witness import ClaimError
from reconciler.discovery.platforms.prometheus.targets import Listing, from_json, read, services
from reconciler.errors import BugError
from reconciler.model.discovery import FileSd
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


def example() -> dict[str, str]:
    """The policies of the shipped example, by path."""
    root = shipped("policies")
    return {f"policies/{file.relative_to(root).as_posix()}": file.read_text() for file in root.rglob("*.yaml")}


def listing_of(text: str, spec: FileSd) -> Listing:
    """What the product makes of a file of a registry."""
    return read(from_json(text.encode(), source="x"), spec, source="x", domain="cluster.local")


def test_what_is_published_is_what_the_product_reads(targets: Targets) -> None:
    """The file is one of Prometheus's, whose targets are instances of the example's service; the settings name that file."""
    texts = example()
    loaded = load(MemoryTree(texts | {MESH: targets.named_in(texts[MESH].encode()).decode()}))
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None
    (registry,) = loaded.mesh.settings.discovery
    spec = registry.file_sd
    assert spec is not None
    assert spec.files == (str(targets.path),)
    for versions, draining in (([LISTED], ""), ([LISTED, GUEST], ""), ([LISTED, GUEST], GUEST)):
        targets.publish(*versions, draining=draining)
        found, problems = services([listing_of(targets.text, spec)], spec, domain="cluster.local")
        assert problems == ()
        assert f"outbound|9080||{next(iter(found))}" == DETAILS
        (service,) = found.values()
        assert {item.labels["version"]: (item.ports[""], item.health) for item in service.instances} == {
            version: (PORTS[version], Health.DRAINING if version == draining else Health.HEALTHY)
            for version in versions
        }


def test_settings_that_say_nothing_of_registries_are_a_fault(targets: Targets) -> None:
    """An edit that finds nothing to edit is never taken for done."""
    with pytest.raises(BugError, match=r"do not say discovery: \[\]"):
        targets.named_in(b"spec: {}")


def test_the_registry_in_the_readme_can_be_pasted() -> None:
    """In place of what the settings say, nothing is wrong with it; and the targets are instances of a service of the example."""
    readme = (shipped("policies") / "README.md").read_text()
    (settings,) = re.findall(r"^```yaml\n  (discovery:\n.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    (listed,) = re.findall(r"^```json\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    texts = example()
    assert "discovery: []\n" in texts[MESH]
    loaded = load(MemoryTree(texts | {MESH: texts[MESH].replace("discovery: []\n", settings)}))
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None
    (registry,) = loaded.mesh.settings.discovery
    assert registry.file_sd is not None
    found, problems = services([listing_of(listed, registry.file_sd)], registry.file_sd, domain="cluster.local")
    assert problems == ()
    assert {host: [item.health for item in service.instances] for host, service in found.items()} == {
        "details.default.svc.cluster.local": [Health.HEALTHY, Health.DRAINING]
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
    """One list less, another proxy, or a route beside it, and the demo fails; a list that is sent again is none of these."""
    assert only_endpoints(Counter({ENDPOINTS: 3}), least=3) == 3
    assert only_endpoints(Counter({ENDPOINTS: 4}), least=3) == 4
    elsewhere, route = ("reviews-v1", ENDPOINTS[1]), (CALLER, "http.http_proxy.rds.http_proxy")
    for sent in ({ENDPOINTS: 2}, {ENDPOINTS: 3, elsewhere: 1}, {ENDPOINTS: 3, route: 1}, {}):
        with pytest.raises(ClaimError, match="something else than 3 lists of the endpoints of details was sent"):
            only_endpoints(Counter(sent), least=3)


def test_services_that_are_not_told_right_are_no_proof() -> None:
    """The one that drains is the registry's, and the only one; one that nobody mentions is not right either."""
    fine = "127.0.0.1:1  app=details,version=v1  -  1  healthy  git: policies/details/v1.yaml:2  there at 1 of 1"
    drains = f"127.0.0.1:4  job=details,version={GUEST}  -  1  draining  targets  there at 1 of 1"
    guest_drains([fine, drains])
    for rows, said in (
        ([fine, drains.replace("draining", "healthy")], "of an instance, .*v4.*healthy"),
        ([fine.replace("healthy", "draining"), drains], "of an instance, .*v1.*draining"),
        ([fine, drains.replace("targets", "git:")], "of an instance, .*v4.*git:"),
        ([fine], "not one row for v4"),
    ):
        with pytest.raises(ClaimError, match=said):
            guest_drains(rows)


def test_a_request_to_an_instance_that_drains_is_no_proof() -> None:
    """It is to have no further one until it is gone."""
    left_alone(7.0, 7.0)
    with pytest.raises(ClaimError, match="v4 had a request 250 ms after its last one, while it drained"):
        left_alone(7.0, 7.25)
