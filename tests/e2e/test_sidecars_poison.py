"""A rule that Envoy refuses, among many that it takes: pushed by a daemon over ADS, to a real Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.rig import git
from tests.e2e.sidecars import Sidecars

_GOOD = 50
_EVIL = "%REQ(a?b?c)%"
"""Validation leaves what stands in the parentheses to Envoy, which takes one alternative."""

_ROUTED = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %(name)s}
spec:
  hosts: [%(name)s]
  http: [{headers: {response: {set: {x-said: "%(said)s"}}}, route: [{destination: {host: %(name)s}}]}]
"""
_LISTENER = '  - {port: {number: %d, protocol: HTTP, name: http}, bind: 127.0.0.1, hosts: ["./*"]}\n'


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecars]:
    """The caller has a listener, with a route configuration of its own, for each of fifty more services, and for b."""
    with Sidecars(tmp_path_factory.mktemp("p"), instances=("b-1",)) as mesh:
        mesh.more = {f"s{number}": mesh.ports.reserve() for number in range(_GOOD)}
        yield mesh


def _services(mesh: Sidecars, said: str, *, evil: str = "") -> dict[str, str]:
    many = {
        f"policies/{name}.yaml": mesh.another(name).replace(str(mesh.egress), str(port))
        + _ROUTED % {"name": name, "said": evil if evil and name == "s7" else said}
        for name, port in mesh.more.items()
    }
    caller = mesh.files()["policies/a-1.yaml"]
    listeners = "".join(_LISTENER % port for port in (mesh.egress, *mesh.more.values()))
    before = caller[caller.index("  egress:") : caller.index("---\napiVersion: reconciler")]
    return many | {"policies/a-1.yaml": caller.replace(before, f"  egress:\n{listeners}")}


def _said(mesh: Sidecars, name: str) -> str:
    """The header that the caller's sidecar gives with answers of a service, from its live configuration."""
    dump = json.loads(mesh.observe("a-1", "/config_dump?resource=dynamic_route_configs"))
    found = [
        header["header"]["value"]
        for item in dump["configs"]
        for host in item["route_config"]["virtual_hosts"]
        if host["name"].startswith(f"{name}.default")
        for route in host["routes"]
        for header in route.get("response_headers_to_add", ())
    ]
    return found[0] if found else ""


def _refused(mesh: Sidecars) -> str:
    """Commit a change of all rules, one of them bad, and wait until that is recorded."""
    commit = mesh.commit(_services(mesh, "new", evil=_EVIL), "Say something new")
    mesh.wait(lambda: (commit, "partial") in mesh.receipts(), "the refusal to be recorded")
    return commit


@pytest.mark.long
def test_one_bad_rule_among_fifty_is_held_and_named_and_the_others_are_live(mesh: Sidecars) -> None:
    """The bad one serves what it served before; the pass is `rejected`, with Envoy's words; mending it ends that."""
    mesh.commit(_services(mesh, "old"), "Fifty more")
    mesh.start_all()
    assert {_said(mesh, f"s{number}") for number in range(_GOOD)} == {"old"}
    _refused(mesh)
    assert {number for number in range(_GOOD) if _said(mesh, f"s{number}") != "new"} == {7}
    assert _said(mesh, "s7") == "old"
    assert sum(mesh.served(20).values()) == 20
    recorded = git("-C", str(mesh.repo), "show", "reconciler/record:proxies/default/a-1.yaml")
    assert "outcome: rejected" in recorded
    port = mesh.more["s7"]
    assert f"route {port}" in recorded
    asked = mesh.command()
    assert asked.code == 4, asked.out + asked.err
    status = json.loads(mesh.command("status", "--output", "json").out)
    held = json.dumps({item["proxy"]: item for item in status["proxies"]}["default/a-1"])
    assert f"{port}" in held
    mended = mesh.commit(_services(mesh, "newest"), "Mend it")
    mesh.applied(mended)
    assert {_said(mesh, f"s{number}") for number in range(_GOOD)} == {"newest"}


@pytest.mark.long
def test_where_the_mesh_says_so_the_bad_commit_is_reverted(mesh: Sidecars) -> None:
    """The revert says what was refused, by whom and in which words; the next pass applies it."""
    keen = mesh.files()["policies/mesh.yaml"].rstrip() + "\n  onReject: revert\n"
    mesh.commit(_services(mesh, "old") | {"policies/mesh.yaml": keen}, "Fifty more")
    mesh.start_all()
    commit = mesh.commit(_services(mesh, "new", evil=_EVIL), "Say something new")
    mesh.wait(lambda: mesh.head() != commit, "the commit to be reverted")
    mesh.applied(mesh.head())
    message = git("-C", str(mesh.repo), "log", "-1", "--format=%B", "main")
    assert message.startswith('Revert "Say something new"\n')
    assert f"a-1 refused route {mesh.more['s7']}" in message
    assert f"Reverts: {commit}" in message
    assert {_said(mesh, f"s{number}") for number in range(_GOOD)} == {"old"}
    assert sum(mesh.served(20).values()) == 20
