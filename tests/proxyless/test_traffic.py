"""Real gRPC clients follow policies by ADS: weights, instances, and what isn't there any more."""

from __future__ import annotations

from functools import partial

from reconciler.cli.demo.split import bounds
from reconciler.model.key import Key
from reconciler.model.resource import ResourceType
from tests.compile.applications import application
from tests.compile.meshes import workload
from tests.proxyless.lab import APP, Client, lab, reviews, split
from tests.push.traffic import reserved
from tests.xds.lab import eventually

_CALLS = 400


def _splits(client: Client, share: float) -> bool:
    """Whether so many calls are split so that `v2` has its share, as far as chance allows; and none fails."""
    found = client.call(_CALLS)
    assert set(found) <= {"v1", "v2"}
    low, high = bounds(_CALLS, share)
    return low <= found["v2"] <= high


def test_a_split_is_followed_with_every_change_of_its_weights() -> None:
    """80/20, then 10/90, then all to one: each time by one route configuration, with no failed call."""
    with lab() as here:
        backends = reviews(v1=here.server("v1"), v2=here.server("v2"))
        client = here.client()
        here.publish(backends, split(80, 20))
        assert _splits(client, 0.2)
        before = here.settled()
        assert before.client.startswith("gRPC")
        assert set(before.acked) == {
            ResourceType.LISTENER, ResourceType.ROUTE, ResourceType.CLUSTER, ResourceType.ENDPOINTS,
        }  # fmt: skip
        for v2 in (90, 100):
            here.publish(backends, split(100 - v2, v2))
            eventually(partial(_splits, client, v2 / 100))
            assert here.settled().resources_sent == 1
        assert here.settled().acked[ResourceType.ROUTE] != before.acked[ResourceType.ROUTE]


def test_instances_come_and_go() -> None:
    """A new instance gets its share, one that is taken away gets nothing, and a service that is removed can't be called."""
    with lab() as here:
        ports = {name: here.server(name) for name in ("v1", "v1_b")}
        client = here.client()
        here.publish(reviews(v1=ports["v1"]))
        assert client.call(20) == {"v1": 20}
        here.publish(reviews(**ports))
        eventually(lambda: set(client.call(20)) == {"v1", "v1_b"})
        here.publish(reviews(v1_b=ports["v1_b"]))
        eventually(lambda: client.call(20) == {"v1_b": 20})
        here.publish("kind: Mesh\nmetadata: {name: mesh}")
        (failure,) = eventually(lambda: not (found := client.call(5))["v1_b"] and found)
        assert failure.startswith("UNAVAILABLE")
        here.publish(reviews(v1=ports["v1"]))
        eventually(lambda: client.call(20) == {"v1": 20})


def test_weights_of_instances_hold() -> None:
    """Three to one, as Envoys would: gRPC has no such weights, localities do."""
    with lab() as here:
        ports = {name: here.server(name) for name in ("v1", "v2")}
        text = reviews(**ports).replace("labels: {version: v1}}\n", "labels: {version: v1}, weight: 3}\n")
        client = here.client()
        here.publish(text)
        assert _splits(client, 0.25)


def test_a_client_without_a_view_waits_and_says_so() -> None:
    """Before the first publish nothing is made up: a call ends by its own deadline, and then goes through."""
    with lab() as here:
        client = here.client()
        (failure,) = client.call(timeout=0.5)
        assert failure.startswith("DEADLINE_EXCEEDED")
        here.publish(reviews(v1=here.server("v1")))
        assert client.call(5) == {"v1": 5}


def test_a_server_takes_its_listener_from_the_same_place() -> None:
    """An xDS server answers once its workload is called at that port, and clients of the mesh find it there."""
    with lab() as here, reserved() as port:
        proxies = f"{application('w', workload='w')}\n---\n{application()}"
        mesh = reviews().split("  endpoints:")[0] + "  workloadSelector: {labels: {app: reviews}}\n"
        mesh = mesh.replace("protocol: GRPC}", f"protocol: GRPC, targetPort: {port}}}")
        owner = workload("w", app="reviews", address="127.0.0.1")
        client = here.client()
        here.server("served", address=f"127.0.0.1:{port}", proxy=application("w", workload="w"))
        here.publish(mesh, "kind: Mesh\nmetadata: {name: mesh}", proxies=application())
        (failure,) = client.call(timeout=5.0)
        assert failure.startswith("UNAVAILABLE")
        here.publish(mesh, owner, proxies=proxies)
        eventually(lambda: client.call(5) == {"served": 5})
        here.settled(Key("default", "w"))
        here.settled(APP)
