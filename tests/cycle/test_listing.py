"""Commits compiled with what registries list: what is compiled anew, and what is not."""

from __future__ import annotations

import pytest

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.report import Stopwatch, silent
from reconciler.errors import Severity
from reconciler.model.discovered import Catalogue, Found, Knowledge, Standing
from reconciler.model.key import Key
from reconciler.model.protocol import Protocol
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.model.services import Port
from tests.discovery.declaring import HTTP, catalogue, instance
from tests.policy.memory import MemoryTree

_FILES = {
    "policies/mesh.yaml": """
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {discovery: [{name: a, plugin: {adapter: any}}, {name: b, plugin: {adapter: any}}]}
""",
    "policies/all.yaml": """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b}
spec:
  hosts: [b.default.svc.cluster.local]
  ports: [{name: http, number: 80, protocol: HTTP}]
  resolution: STATIC
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other}
spec:
  hosts: [c.default.svc.cluster.local]
  http: [{route: [{destination: {host: c.default.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b}
spec:
  hosts: [b.default.svc.cluster.local]
  http: [{route: [{destination: {host: d.default.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: me}
spec: {address: 127.0.0.9, labels: {app: me}}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: me}
spec: {workload: me, admin: 'http://127.0.0.1:9901', push: {ads: {}}}
""",
}
_ME = Key("default", "me")
B, C, D = (f"{name}.default.svc.cluster.local" for name in "bcd")
_B = ResourceId(ResourceType.ENDPOINTS, f"outbound|80||{B}")


class Commit(MemoryTree):
    """A tree with an id of its own."""

    @property
    def commit(self) -> str:
        return "c" * 40


def listed(*found: Found) -> Catalogue:
    standings = tuple(Standing(registry=name, kind="any", knowledge=Knowledge.LIVE) for name in "ab")
    made = catalogue(*(("a", item) for item in found))
    return Catalogue(services=made.services, standings=standings)


class World:
    """One compiler and one commit."""

    def __init__(self) -> None:
        self.compiler = Compiler()

    def compiled(self, *found: Found) -> Desired:
        self.compiler.discover(listed(*found))
        return self.compiler.desired(Commit(_FILES), Stopwatch(silent))


@pytest.fixture
def world() -> World:
    return World()


def test_other_instances_compile_nothing_anew(world: World) -> None:
    """They reach proxies by recipes; the commit's compiled form stays the same object, however often they change."""
    first = world.compiled(Found(host=B, instances=(instance("10.0.0.1"),)))
    again = world.compiled(Found(host=B, instances=(instance("10.0.0.2"), instance("10.0.0.3"))))
    assert again is first
    assert first.views[_ME].resources[_B].recipe is not None


def test_another_service_compiles_the_commit_anew(world: World) -> None:
    """A service that only registries know comes with its clusters, and goes with them."""
    before = world.compiled(Found(host=B))
    with_it = world.compiled(Found(host=B), Found(host=C, ports=(HTTP,), instances=(instance("10.0.0.4"),)))
    after = world.compiled(Found(host=B))
    cluster = ResourceId(ResourceType.CLUSTER, f"outbound|80||{C}")
    assert [cluster in item.views[_ME].resources for item in (before, with_it, after)] == [True, True, True]
    assert [item.listed for item in (before, with_it, after)] == [frozenset(), {C}, frozenset()]
    one, other = (item.views[_ME].resources[cluster].version for item in (before, with_it))
    assert one != other, "a host that nobody declares is a cluster without instances"
    assert after.views[_ME].version == before.views[_ME].version


def test_another_port_compiles_the_commit_anew(world: World) -> None:
    """What a service is, other than its instances, takes a pass."""
    first = world.compiled(Found(host=C, ports=(HTTP,)))
    again = world.compiled(Found(host=C, ports=(HTTP, Port(9090, "grpc", Protocol.GRPC, 9090))))
    assert again is not first
    assert ResourceId(ResourceType.CLUSTER, f"outbound|9090||{C}") in again.views[_ME].resources


def test_a_host_that_registries_list_is_no_unknown_host_any_more(world: World) -> None:
    """The warning that it may not be there holds only for as long as it is not."""
    before, after = world.compiled(Found(host=B)), world.compiled(Found(host=B), Found(host=C, ports=(HTTP,)))
    assert [item.code for item in before.warnings if C in item.message] == ["ref-host"]
    assert [item.code for item in after.warnings if C in item.message] == []


def test_what_registries_list_makes_no_commit_unusable(world: World) -> None:
    """A second port, and nobody says which of the two is meant: traffic stays where it is, and people are told."""
    first, second = Port(8080, "http", Protocol.HTTP, 8080), Port(9090, "http-2", Protocol.HTTP, 9090)
    alone, both = (
        world.compiled(Found(host=B), Found(host=C), Found(host=D, ports=ports))
        for ports in ((first,), (first, second))
    )
    route = ResourceId(ResourceType.ROUTE, "80")
    for desired in (alone, both):
        assert f"outbound|8080||{D}".encode() in desired.views[_ME].resources[route].body
    told = [item for item in both.warnings if item.code == "destination-port"]
    assert [(item.severity, item.file) for item in told] == [(Severity.WARNING, "policies/all.yaml")]
    assert "8080, 9090" in told[0].message


def test_errors_that_only_registries_cause_are_warnings(world: World) -> None:
    """Whoever may write to a registry must not be able to stop everybody's commits."""
    taken = Found(host=C, ports=(Port(80, "tcp", Protocol.TCP, 80),), addresses=("127.0.0.1",))
    desired = world.compiled(Found(host=B), taken)
    assert _ME in desired.views
    assert [item.severity for item in desired.warnings if item.code == "port-clash"] == [Severity.WARNING]


def test_a_receipts_version_leaves_instances_out(world: World) -> None:
    """What is live where, for which commit, does not change when instances come and go."""
    first = world.compiled(Found(host=B, instances=(instance("10.0.0.1"),)))
    other = World().compiled(Found(host=B, instances=(instance("10.0.0.2"),)))
    assert first.views[_ME].resources[_B] != other.views[_ME].resources[_B]
    assert first.views[_ME].version == other.views[_ME].version
