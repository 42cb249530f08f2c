from __future__ import annotations

from pathlib import Path

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.json_format import ParseDict

from reconciler.cli.demo.drift import BY_HAND, RouteFile
from reconciler.errors import BugError


def cluster(host: str, subset: str, weight: int) -> dict[str, object]:
    """One share of a split, named as Istio names clusters."""
    return {"name": f"outbound|9080|{subset}|{host}.default.svc.cluster.local", "weight": weight}


def write(directory: Path, name: str, action: dict[str, object]) -> Path:
    """A route file as the product lays it down."""
    routes = RouteConfiguration()
    ParseDict(
        {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"route": action}]}]}, routes
    )
    response = DiscoveryResponse(version_info="from-git")
    response.resources.add().Pack(routes)
    path = directory / "routes" / f"{name}.pb"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(response.SerializeToString())
    return path


def test_the_split_of_a_service_is_found_and_turned_round(tmp_path: Path) -> None:
    """Everything goes to one subset, under a version of its own, in a new file of the same name, as Envoy's watch needs."""
    write(tmp_path, "80", {"cluster": "outbound|9080||reviews.default.svc.cluster.local"})
    write(
        tmp_path, "81", {"weighted_clusters": {"clusters": [cluster("ratings", "v1", 1), cluster("ratings", "v2", 1)]}}
    )
    path = write(
        tmp_path,
        "82",
        {"weighted_clusters": {"clusters": [cluster("reviews", "v1", 90), cluster("reviews", "v2", 10)]}},
    )
    file = RouteFile.find(tmp_path, service="reviews")
    assert file == RouteFile(path, "82", "from-git")
    before = path.stat().st_ino
    file.send_all_to("v2")
    response = DiscoveryResponse.FromString(path.read_bytes())
    routes = RouteConfiguration()
    assert response.resources[0].Unpack(routes)
    shares = routes.virtual_hosts[0].routes[0].route.weighted_clusters.clusters
    assert [share.weight.value for share in shares] == [0, 100]
    assert response.version_info == BY_HAND
    assert path.stat().st_ino != before
    assert sorted(item.name for item in path.parent.iterdir()) == ["80.pb", "81.pb", "82.pb"]


def test_a_proxy_without_such_a_split_is_a_fault(tmp_path: Path) -> None:
    """Sabotage that hits nothing would prove nothing."""
    write(tmp_path, "80", {"cluster": "outbound|9080||reviews.default.svc.cluster.local"})
    with pytest.raises(BugError, match="splits the traffic to reviews"):
        RouteFile.find(tmp_path, service="reviews")
