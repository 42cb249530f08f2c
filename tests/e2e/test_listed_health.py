"""What callers find out by themselves of instances that a registry calls healthy: shown, and acted on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.clustered import B, Clustered
from tests.e2e.listed import PORT, member

_CHECK = """\
apiVersion: reconciler/v1alpha1
kind: HealthCheck
metadata: {name: b}
spec:
  host: b
  http: {path: /healthz}
  interval: 200ms
  timeout: 1s
  unhealthyThreshold: 1
  healthyThreshold: 1
"""
_OUTLIERS = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b}
spec:
  host: b
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 2, interval: 200ms, baseEjectionTime: 60s, maxEjectionPercent: 50}
---
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    """A cluster that lists three instances of b."""
    with Clustered(tmp_path_factory.mktemp("h")) as mesh:
        mesh.publish(b=[*mesh.both, member(mesh.three)])
        mesh.start_all()
        mesh.has(B, mesh.one, mesh.two, mesh.three)
        yield mesh


def _troubles(mesh: Clustered) -> dict[str, list[str]]:
    """What `reconcile status` says of instances of b, by address."""
    found: dict[str, list[str]] = {}
    for item in mesh.status()["health"]["services"]:
        if item["host"] == B and item["port"] == PORT and not item["subset"]:
            found = {each["address"]: sorted(each["troubles"]) for each in item["hosts"]}
    return found


@pytest.mark.long
def test_an_instance_that_fails_its_checks_gets_no_requests_though_it_is_listed_as_healthy(mesh: Clustered) -> None:
    """And is shown as that; once it answers again, both are over."""
    mesh.applied(mesh.commit({"policies/check.yaml": _CHECK}, "Check b"))
    mesh.asked(mesh.one, mesh.two, mesh.three, path="/healthz")
    mesh.three.failing = True
    mesh.until(lambda: _troubles(mesh) == {mesh.three.address: ["failed-check"]}, "the failed check in the status")
    with mesh.calls(B, rate=0, limit=60) as traffic:
        traffic.join()
    assert traffic.tally().versions.keys() == {"one", "two"}
    assert traffic.tally().failed == 0
    assert set(mesh.hosts(B).values()) == {"HEALTHY"}
    mesh.three.failing = False
    mesh.until(lambda: not _troubles(mesh), "the status to be well again")
    mesh.applied(mesh.commit({"policies/check.yaml": None}, "Check no more"))


@pytest.mark.long
def test_an_instance_that_is_ejected_is_shown(mesh: Clustered) -> None:
    """By outlier detection, with what the registry says of it unchanged."""
    rules = mesh.files()["policies/b.yaml"].partition("---\n")[2]
    mesh.applied(mesh.commit({"policies/b.yaml": _OUTLIERS + rules}, "Eject"))
    mesh.three.failing = True
    with mesh.calls(B, rate=0, limit=60) as traffic:
        traffic.join()
    mesh.until(lambda: "ejected" in _troubles(mesh).get(mesh.three.address, ()), "the ejection in the status")
    with mesh.calls(B, rate=0, limit=60) as traffic:
        traffic.join()
    assert traffic.tally().failed == 0
    assert set(mesh.hosts(B).values()) == {"HEALTHY"}
    mesh.three.failing = False
    mesh.applied(mesh.commit({"policies/b.yaml": mesh.files()["policies/b.yaml"]}, "Eject no more"))
    mesh.until(lambda: not _troubles(mesh), "the status to be well again")
