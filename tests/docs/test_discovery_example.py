from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from reconciler.discovery.platforms.kubernetes.cluster import Resource
from reconciler.model.discovery import KINDS
from reconciler.policy import load
from reconciler.yamldoc import load as documents
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.docs.newcomer import Newcomer
from tests.policy.memory import MemoryTree

PAGE = TOP / "docs" / "discovery.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = blocks(PAGE, "yaml")
MESHES = [text for text in EXAMPLES if "kind: Mesh" in text and "kind: Proxy" not in text]
PORTS = ("8080", "8001", "8002", "8003", "15010")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("q")


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.long
def test_the_quick_start_works_as_it_is_written(folder: Path) -> None:
    """Every file and command, in order: a third instance comes without a commit, and none goes with the file that lists them."""
    said: dict[str, list[str]] = {}
    places = ("policies/shop.yaml", "policies/edge.yaml", "targets/shop.yml")
    with Newcomer(folder, ports=PORTS, place="/tmp/shop") as newcomer:  # noqa: S108

        def shown() -> list[str]:
            """The ports of the instances that the gateway has."""
            found = newcomer.do("curl -s --unix-socket run/edge.sock http://admin/clusters || true")
            return sorted(re.findall(r"^outbound.*:(\d+)::health_flags::healthy$", found, re.MULTILINE))

        def logged() -> bool:
            return "not believed" in (folder / "run" / "daemon.log").read_text()

        one, two, three = map(newcomer.actual, ("8001", "8002", "8003"))
        for command, printed in newcomer.follow(section("Quick start"), places):
            said.setdefault(command.partition(" ")[0], []).append(printed)
            if command.startswith("envoy"):
                newcomer.wait(lambda: shown() == sorted([one, two]), "two instances")
            if command.startswith("mv"):
                newcomer.wait(lambda: shown() == sorted([one, two, three]), "the third instance")
            if command.startswith("rm"):
                newcomer.wait(logged, "doubts")
        assert shown() == sorted([one, two, three])
    services, log = said["reconcile"][-1], said["git"][-1].splitlines()
    assert all(f"127.0.0.1:{port}" in services for port in (one, two, three))
    assert len(log) == 2
    assert "A shop" in log
    answers = [text for text in said["curl"] if text.strip()]
    assert [answers[0].strip() in {one, two}, answers[-1].strip() in {one, two, three}] == [True, True]
    (shown_doubt,) = re.findall(r"^\d.* WARNING (.*)$", section("Quick start"), re.MULTILINE)
    assert _timeless(said["grep"][0]).endswith(_timeless(shown_doubt))


def _timeless(text: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d", "TIME", text).strip()


@pytest.mark.parametrize("text", MESHES)
def test_every_example_is_valid(text: str) -> None:
    """What people copy loads, without a warning."""
    assert [str(item) for item in load(MemoryTree({"policies/a.yaml": text})).diagnostics] == []


def test_every_kind_has_an_example() -> None:
    """A kind that nobody shows is missing here."""
    named = {name for text in MESHES for item in _discovery(text) for name in item}
    assert named - {"name"} == {to_camel(kind) for kind in KINDS if kind != "plugin"}  # that one has a page of its own


def _discovery(text: str) -> list[dict[str, Any]]:
    (document,) = documents(text.encode(), file="page")
    return list(document["spec"]["discovery"])


def test_the_role_allows_what_the_adapter_asks_for() -> None:
    """No more, and no less."""
    (role,) = (text for text in EXAMPLES if "kind: ClusterRole\n" in text)
    rules = documents(role.encode(), file="page")[0]["spec" if "spec" in role else "rules"]
    granted = {name: set(rule["verbs"]) for rule in rules for name in rule["resources"]}
    assert granted == {str(resource): {"list", "watch"} for resource in Resource}


def test_layouts_of_etcd_are_read() -> None:
    """Each row of the table is an instance at the address that it shows."""
    from reconciler.discovery.platforms.etcd.reading import entry
    from reconciler.model.discovery import Etcd

    lines = re.findall(r"^\| (?:gRPC|go-zero|Kitex).* \| `(\S+)`.* \| `(.+)` \|$", TEXT, re.MULTILINE)
    for key, value in lines:
        spec = Etcd(prefix="kitex/registry-etcd/" if key.startswith("kitex") else "")
        found = entry(key.encode(), value.encode(), spec, domain="cluster.local")
        assert found is not None
        assert (found.host, found.instance.address) == ("reviews.default.svc.cluster.local", "10.0.0.1")
        assert found.instance.labels == ({"version": "v1"} if value.startswith("{") else {})
        assert found.instance.ports == {"": 8080}
    assert len(lines) == 3
    assert json.loads(lines[0][1])["Metadata"]["weight"] == 2
