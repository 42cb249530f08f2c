"""Proxies that announce themselves: who becomes a member, and what is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.clock import SystemClock
from reconciler.cycle.desired import Compiler
from reconciler.cycle.joining import join
from reconciler.cycle.report import Stopwatch, silent
from reconciler.cycle.targets import NEEDS_DAEMON, members, require_streams
from reconciler.errors import UsageError
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.proxy import Client
from reconciler.policy import load
from reconciler.xds import Announcement, Plane
from tests.policy.memory import MemoryTree

_SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b}
spec:
  hosts: [b.default.svc.cluster.local]
  ports: [{name: http, number: 80, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: b}}
"""
_WORKLOADS = """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: b-1}
spec: {address: 127.0.0.11, labels: {app: b}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: b-2}
spec: {address: 127.0.0.12, labels: {app: b}}
"""
_PROXY = """
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: declared}
spec: {workload: b-1, admin: 'http://127.0.0.1:9901', push: {ads: {}}}
"""
_REDIRECT = """
---
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {interception: REDIRECT}
"""
_B2 = Announcement(key=Key("default", "b-2"), workload="b-2", admin="http://127.0.0.9:9902", address="127.0.0.9")


def _tree(*more: str) -> MemoryTree:
    return MemoryTree({"policies/all.yaml": "".join((_SERVICE, _WORKLOADS, _PROXY, *more))})


def _mesh(*more: str) -> Mesh:
    mesh = load(_tree(*more)).mesh
    assert mesh is not None
    return mesh


def _joined(*announced: Announcement, more: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """Admin address by member, and the messages about strangers."""
    joined = join(_mesh(*more), announced)
    found = {proxy.key: proxy.spec.admin for proxy in joined.mesh.proxies}
    return {key.name: found[key] for key in sorted(joined.members)}, [item.message for item in joined.strangers]


def test_a_proxy_of_a_known_workload_joins_with_its_own_admin_endpoint() -> None:
    """Nothing has to be written for it: its workload is in Git, and its endpoint is where it connects from."""
    assert _joined(_B2) == ({"b-2": "http://127.0.0.9:9902"}, [])


def test_what_git_says_of_a_proxy_goes_first() -> None:
    """An announcement of a declared proxy changes nothing."""
    assert _joined(replace(_B2, key=Key("default", "declared"))) == ({}, [])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (replace(_B2, workload="nobody"), "no WorkloadEntry default/nobody"),
        (replace(_B2, workload="b-1"), "has a proxy already"),
        (replace(_B2, workload=""), "neither workload nor labels"),
        (replace(_B2, labels={"a": "b"}), "both workload and labels"),
        (replace(_B2, workload="", labels={"a b": "c"}), "label"),
    ],
)
def test_who_can_not_be_a_member_is_left_out_and_named(said: Announcement, reason: str) -> None:
    """A stranger's mistake, or lie, is its own misfortune."""
    found, messages = _joined(said)
    assert found == {}
    assert len(messages) == 1
    assert reason in messages[0]
    assert "default/b-2" in messages[0]


@pytest.mark.parametrize(
    ("admin", "address", "believed"),
    [
        ("http://127.0.0.9:1", "127.0.0.9", True),
        ("http://127.0.0.9:1", "127.0.0.10", False),
        ("https://10.1.2.3:1", "10.1.2.3", True),
        ("http://10.1.2.4:1", "10.1.2.3", True),  # allowed by the mesh
        ("http://10.2.0.1:1", "10.1.2.3", False),
        ("http://[::1]:1", "::1", True),
        ("http://admin.example:1", "10.1.2.3", False),
        ("http://localhost:1", "127.0.0.1", True),
        ("unix:///run/a.sock", "127.0.0.1", True),
        ("unix:///run/a.sock", "", True),
        ("unix:///run/a.sock", "10.1.2.3", False),
        ("http://127.0.0.1:9901", "127.0.0.1", False),  # the declared proxy's
        ("ftp://127.0.0.9:1", "127.0.0.9", False),
    ],
)
def test_an_announced_admin_address_is_believed_if_it_is_the_peers_own_or_allowed(
    admin: str, address: str, *, believed: bool
) -> None:
    """Otherwise whoever connects could have us read, and trust, any address. Who is not believed counts by its own word."""
    mesh = "\n---\napiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\nspec: {adminAllow: [10.1.2.0/24]}\n"
    found, messages = _joined(replace(_B2, admin=admin, address=address), more=[mesh])
    if admin.startswith("ftp"):
        assert found == {}
    else:
        assert found == {"b-2": admin if believed else ""}
    assert bool(messages) is not believed


def test_a_grpc_application_joins_without_an_admin_endpoint() -> None:
    """It has none, so it is not asked for one."""
    said = replace(_B2, admin="", client=Client.GRPC)
    assert _joined(said) == ({"b-2": ""}, [])


def test_of_two_that_claim_one_workload_the_first_by_name_joins() -> None:
    """An instance has one sidecar; two would take the same port."""
    found, messages = _joined(_B2, replace(_B2, key=Key("default", "c"), admin="http://127.0.0.9:9903"))
    assert list(found) == ["b-2"]
    assert "default/c" in messages[0]


def test_a_commit_is_compiled_for_those_who_joined_and_for_those_only() -> None:
    """Joining gives a view, leaving takes it, and connecting again changes nothing."""
    compiler, watch, tree = Compiler(), Stopwatch(silent), _tree(_REDIRECT)
    edge = replace(_B2, workload="", labels={"role": "edge"})
    alone = compiler.desired(tree, watch)
    compiler.join([edge])
    both = compiler.desired(tree, watch)
    compiler.join([replace(edge, connected=False)])
    again = compiler.desired(tree, watch)
    compiler.join([])
    left = compiler.desired(tree, watch)
    assert [sorted(map(str, item.views)) for item in (alone, both, left)] == [
        ["default/declared"],
        ["default/b-2", "default/declared"],
        ["default/declared"],
    ]
    assert both.announced == {edge.key}
    assert both.declared == {Key("default", "declared")}
    assert again.mesh.proxies is both.mesh.proxies
    assert both.views[Key("default", "declared")].version == alone.views[Key("default", "declared")].version


def test_who_would_make_the_mesh_unusable_is_left_out() -> None:
    """What a stranger says must not keep a good commit from the others: here it would take another sidecar's ports."""
    compiler, watch = Compiler(), Stopwatch(silent)
    compiler.join([_B2])
    desired = compiler.desired(_tree(_REDIRECT), watch)
    assert list(desired.views) == [Key("default", "declared")]
    assert ["are left out" in item.message for item in desired.warnings] == [True]


def test_only_a_process_that_serves_streams_pushes_over_them() -> None:
    """Without a daemon there is nobody to push to: that is said before anything is sent."""
    proxies = members(_mesh(), ())
    with pytest.raises(UsageError) as caught:
        require_streams(proxies, None)
    assert caught.value.code == NEEDS_DAEMON
    require_streams(proxies, Plane(clock=SystemClock()))
