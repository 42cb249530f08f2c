from __future__ import annotations

from pathlib import Path

from reconciler.model.services import declared
from reconciler.policy import FolderTree, load
from reconciler.settings import shipped


def test_the_worked_example_has_nothing_to_complain_about() -> None:
    """It is the model of good style: not even a warning."""
    loaded = load(FolderTree(shipped("policies"), mounted="policies"))
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None


def test_the_worked_example_is_bookinfo() -> None:
    """Four services, three versions of reviews, a proxy each and one at the edge, on ports that don't collide."""
    mesh = load(FolderTree(shipped("policies"), mounted="policies")).mesh
    assert mesh is not None
    services = {service.host.partition(".")[0]: service for service in declared(mesh)}
    assert {name: len(item.endpoints) for name, item in services.items()} == {
        "details": 1, "productpage": 1, "ratings": 1, "reviews": 3,
    }  # fmt: skip
    assert {proxy.key.name for proxy in mesh.proxies} == {
        "details-v1", "ingressgateway", "productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3",
    }  # fmt: skip
    ports = [port for item in services.values() for end in item.endpoints for port in end.ports.values()]
    ports += [int(item.default_endpoint.rpartition(":")[2]) for car in mesh.sidecars for item in car.spec.ingress]
    ports += [item.port.number for car in mesh.sidecars for item in car.spec.egress if item.port]
    ports += [server.port.number for gateway in mesh.gateways for server in gateway.spec.servers]
    assert len(ports) == len(set(ports)) == 16


def test_what_the_examples_comments_say_of_ports_is_so() -> None:
    """A comment that names a port names the port on its document's own line or listener."""
    for path in sorted(Path(shipped("policies")).rglob("v?.yaml")):
        text = path.read_text(encoding="utf-8")
        if "http_proxy=" in text:
            number = text.split("http_proxy=http://127.0.0.1:")[1].split()[0]
            assert f"number: {number}, protocol: HTTP_PROXY" in text, path
