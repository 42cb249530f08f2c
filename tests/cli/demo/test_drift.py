from __future__ import annotations

import json
from pathlib import Path

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.json_format import ParseDict

from reconciler.cli.demo.drift import BY_HAND, PAGE, RouteFile
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


def test_the_route_to_a_service_is_found_and_answered_by_hand(tmp_path: Path) -> None:
    """No application is asked any more, under a version of its own, in a new file of the same name, as Envoy's watch needs."""
    write(tmp_path, "80", {"cluster": "outbound|9080||ratings.default.svc.cluster.local"})
    path = write(tmp_path, "81", {"cluster": "outbound|9080||reviews.default.svc.cluster.local"})
    file = RouteFile.find(tmp_path, service="reviews")
    assert file == RouteFile(path, "81", "from-git")
    before = path.stat().st_ino
    file.answer_here()
    response = DiscoveryResponse.FromString(path.read_bytes())
    routes = RouteConfiguration()
    assert response.resources[0].Unpack(routes)
    (route,) = routes.virtual_hosts[0].routes
    assert not route.HasField("route")
    assert route.direct_response.status == 200
    assert json.loads(route.direct_response.body.inline_string) == {"app": PAGE, "version": BY_HAND}
    assert response.version_info == BY_HAND
    assert path.stat().st_ino != before
    assert sorted(item.name for item in path.parent.iterdir()) == ["80.pb", "81.pb"]


def test_a_split_is_a_route_to_its_service_too(tmp_path: Path) -> None:
    """Whether one cluster or several get the requests."""
    shares = [cluster("reviews", "v1", 90), cluster("reviews", "v2", 10)]
    path = write(tmp_path, "82", {"weighted_clusters": {"clusters": shares}})
    assert RouteFile.find(tmp_path, service="reviews").path == path


def test_a_proxy_without_such_a_route_is_a_fault(tmp_path: Path) -> None:
    """Sabotage that hits nothing would prove nothing."""
    write(tmp_path, "80", {"cluster": "outbound|9080||reviews.default.svc.cluster.local"})
    with pytest.raises(BugError, match="sends traffic to ratings"):
        RouteFile.find(tmp_path, service="ratings")
