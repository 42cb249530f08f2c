"""docs/howto/from-istio.md: every command of it, with a cluster's API server that is ours and a real Envoy as the new gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.generate import TOP
from tests.docs.shown import Reader
from tests.kubernetes.objects import endpoint, endpoint_slice, pod, service
from tests.kubernetes.platform import TOKEN, kubeconfig
from tests.kubernetes.server import ApiServer
from tests.kubernetes.store import CORE, SECURITY, Object, Store, istio

PAGE = (TOP / "docs" / "howto" / "from-istio.md").read_text(encoding="utf-8")
_PLACE = "/tmp/migration"  # noqa: S108 -- as the page says


def rule(kind: str, name: str, spec: Object) -> Object:
    return {"kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def weighted(version: str, weight: int) -> Object:
    return {"destination": {"host": "reviews", "subset": version}, "weight": weight}


RULES = (
    rule("Gateway", "shop", {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*.example.com"]}],
    }),
    rule("VirtualService", "reviews", {
        "hosts": ["reviews.example.com"],
        "gateways": ["shop"],
        "http": [{"name": "primary", "route": [weighted("v1", 100), weighted("v2", 0)]}],
    }),
    rule("DestinationRule", "reviews", {
        "host": "reviews", "subsets": [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")],
    }),
    rule("EnvoyFilter", "lua", {}),
)  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[ApiServer]:
    """With Istio's rules, and two versions of one service."""
    server = ApiServer(Store(*CORE, *istio("v1"), SECURITY))
    server.tokens = {TOKEN}
    yield server
    server.stop()


def fill(server: ApiServer, reader: Reader) -> None:
    """The rules, and the service at the reader's own ports."""
    port = int(reader.actual("8080"))
    gateway, *others = RULES
    gateway = {**gateway, "spec": {**gateway["spec"]}}
    gateway["spec"]["servers"] = [
        {**gateway["spec"]["servers"][0], "port": {"number": port, "name": "http", "protocol": "HTTP"}}
    ]
    server.store.put(gateway, *others, service())
    for version, shown in (("v1", "8001"), ("v2", "8002")):
        ports = [{"name": "http", "port": int(reader.actual(shown)), "protocol": "TCP"}]
        server.store.put(
            pod(f"reviews-{version}", app="reviews", version=version),
            endpoint_slice(f"reviews-{version}", [endpoint("127.0.0.1", pod=f"reviews-{version}")], ports=ports),
        )


@pytest.mark.long
def test_the_way_from_istio_shows_what_is_seen(
    cluster: ApiServer, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imported, previewed, and served by a gateway that finds the cluster's instances."""
    top = tmp_path_factory.mktemp("i")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(top, cluster.url)))
    (top / "v1").mkdir()
    (top / "v1" / "index.html").write_text("v1\n")
    (top / "repository").mkdir()
    with Reader(top / "repository", ports=("8080", "8001", "8002", "15010"), place=_PLACE) as reader:
        fill(cluster, reader)
        reader.do(reader.actual(f"python3 -m http.server 8001 --bind 127.0.0.1 --directory {top}/v1 2> {top}/v1.log &"))
        reader.do("git commit -q --allow-empty -m 'Start'")
        done = list(reader.read(PAGE, iter(("policies/mesh.yaml", "policies/gateway.yaml"))))
    assert len([line for line in PAGE.splitlines() if line.startswith("$ ")]) == len(done)
