"""Where Prometheus finds the fleet: what the daemon lists of the proxies that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.cli.serving.targets import FleetTargets
from reconciler.cycle import Inventory
from reconciler.cycle.desired import Desired
from reconciler.model.discovered import NOTHING
from reconciler.model.key import Key
from reconciler.web import NotReadyError
from reconciler.xds import NodeState
from tests.compile.meshes import documents, mesh_of

_FLEET = documents(
    """
kind: Mesh
metadata: {name: mesh}
spec: {telemetry: {metrics: {port: 15090, address: 0.0.0.0}}}
""",
    """
kind: WorkloadEntry
metadata: {name: a-1, namespace: shop}
spec: {address: "fd00::7", labels: {app: a, version: v2}}
""",
    """
kind: Proxy
metadata: {name: a-1, namespace: shop}
spec: {workload: a-1, push: {ads: {}}}
""",
    """
kind: Proxy
metadata: {name: near}
spec: {labels: {role: edge}, push: {ads: {}}, metrics: {port: 9102, mutualTls: true}}
""",
    """
kind: Proxy
metadata: {name: edge}
spec: {labels: {role: edge}, admin: "https://edge.example.com:9901", push: {ads: {}}}
""",
    """
kind: Proxy
metadata: {name: streaming}
spec: {labels: {role: edge}, push: {ads: {}}}
""",
    """
kind: Proxy
metadata: {name: nowhere}
spec: {labels: {role: edge}, admin: "unix:///a.sock", push: {files: {directory: /x}}}
""",
    """
kind: Proxy
metadata: {name: theirs}
spec: {admin: "http://10.0.0.1:1", push: {runtime: {}}}
""",
    """
kind: Proxy
metadata: {name: grpc}
spec: {push: {ads: {client: grpc}}}
""",
)


def listed(*texts: str, peers: Mapping[str, str] | None = None) -> FleetTargets:
    """What is listed of such a fleet, some of which have a stream."""
    mesh = mesh_of(*texts)
    desired = Desired(commit="c", mesh=mesh, source=mesh, templates={}, views={}, warnings=(), notes={})
    inventory = Inventory(desired=desired, services=(), catalogue=NOTHING)
    nodes = {Key("default", name): NodeState(peer=peer) for name, peer in (peers or {}).items()}
    return FleetTargets(inventory=lambda: inventory, connections=lambda: nodes)


def by_proxy(found: FleetTargets) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Address and labels by the proxy's name."""
    groups = found.targets().groups
    return {group["labels"]["proxy"]: (*group["targets"], group["labels"]) for group in groups}


def test_each_proxy_is_listed_where_it_can_be_reached() -> None:
    """At its workload's address, the host of its admin address, or where its stream comes from; what it binds itself comes first."""
    fleet = listed(_FLEET, peers={"streaming": "[fd00::9]:40000", "nowhere": ""})
    assert {name: place for name, (place, _) in by_proxy(fleet).items()} == {
        "a-1": "[fd00::7]:15090",
        "near": "127.0.0.1:9102",
        "edge": "edge.example.com:15090",
        "streaming": "[fd00::9]:15090",
    }
    assert fleet.targets().left_out == 3  # one that nobody can find, one that is not ours, one that is no Envoy


def test_labels_say_whose_metrics_they_are() -> None:
    """The same as in the series themselves; and where and how to scrape. What there is nothing to say of is absent."""
    labels = {name: dict(found) for name, (_, found) in by_proxy(listed(_FLEET)).items()}
    where = {"__metrics_path__": "/stats/prometheus", "__scheme__": "http"}
    assert labels["a-1"] == where | {
        "proxy": "a-1",
        "namespace": "shop",
        "workload": "a-1",
        "gateway": "false",
        "app": "a",
        "version": "v2",
    }
    assert labels["edge"] == where | {"proxy": "edge", "namespace": "default", "workload": "edge", "gateway": "true"}
    assert labels["near"]["__scheme__"] == "https"


def test_without_metrics_nobody_is_listed() -> None:
    """A Mesh that says nothing, and proxies that say nothing."""
    found = listed("kind: Proxy\nmetadata: {name: p}\nspec: {labels: {a: b}, push: {ads: {}}}\n").targets()
    assert (found.groups, found.left_out) == ([], 1)


def test_before_the_first_pass_nothing_is_said() -> None:
    """An empty list would make Prometheus forget its targets; an error keeps them."""
    with pytest.raises(NotReadyError):
        FleetTargets(inventory=lambda: None, connections=dict).targets()
