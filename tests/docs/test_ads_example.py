from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reconciler.policy import load
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.docs.newcomer import Newcomer
from tests.policy.memory import MemoryTree

ADS = (TOP / "docs" / "ads.md").read_text(encoding="utf-8")
DISCOVERY = (TOP / "docs" / "discovery.md").read_text(encoding="utf-8")
GRPC = (TOP / "docs" / "proxyless-grpc.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("q")


@pytest.mark.long
def test_the_quick_start_works_as_it_is_written(folder: Path) -> None:
    """Every file and command, in order, leads to a request from sidecar to sidecar, and to a canary that one proxy hears of.

    What the daemon then says of itself has the fields that the page describes.
    """
    section = ADS[ADS.index("## Quick start") : ADS.index("## Who is sent what")]
    section = section.replace("reconcile daemon", "reconcile daemon --interval 1h")  # or it may see the commit first
    places = ("policies/shop.yaml", "policies/web.yaml", "policies/shop-v1.yaml")
    said = ""
    with Newcomer(folder, ports=("9080", "8001", "8002", "15010", "8090"), place="/tmp/shop") as newcomer:  # noqa: S108
        for command, said in newcomer.follow(section, places):
            if command.startswith("envoy") and "shop-v2" in command:  # the last that is started: the two seconds
                newcomer.wait(newcomer.applied, "everything to be applied")
            if command.startswith("curl"):
                assert said.strip() == "v1"
        assert "weight: 100 -> 90" in said
        assert "live on 3/3 proxies" in said
        status, services = (
            json.loads(newcomer.do(newcomer.actual(f"curl -s http://127.0.0.1:8090/v1/{name}")))
            for name in ("status", "services")
        )
        sent = {item["proxy"]: item["connection"]["resources_sent"] for item in status["proxies"]}
        assert sent["default/web"] == 1
    table = ADS[ADS.index("`/v1/status` is a contract") : ADS.index("Errors have one form")]
    (web,) = (item for item in status["proxies"] if item["proxy"] == "default/web")
    fields = [*status, *status["pass"], *web, *web["connection"]]
    assert [name for name in fields if f"`{name}`" not in table and f".{name}" not in table] == [
        "proxies",
        "registries",
    ]
    (shop,) = (item for item in services["services"] if item["host"].startswith("shop."))
    fields = [*services, *shop, *shop["ports"][0], *shop["endpoints"][0], *shop["counts"], *shop["callers"]]
    table = DISCOVERY.partition("\n## `reconcile services`\n")[2].partition("\n## ")[0]
    assert [name for name in fields if not re.search(rf"[`.]{name}(\[\])?[`.]", table)] == []


@pytest.mark.long
def test_grpc_applications_follow_the_page_and_then_git(folder: Path) -> None:
    """Servers and a client as the page has them split calls by weight, and follow a changed weight."""
    section = GRPC[GRPC.index("## Quick start") : GRPC.index("## How it joins")]
    section = section.replace("python client.py\n", "python client.py > client.log &\n")
    places = ("policies/greeter.yaml", "policies/applications.yaml", "server.py", "client.py")
    with Newcomer(folder, ports=("50051", "15010")) as newcomer:
        for command, _ in newcomer.follow(section, places):
            if "server.py v2" in command:  # before the client
                newcomer.wait(lambda: newcomer.applied("greeter-v1", "greeter-v2"), "the servers to be applied")
        assert "client.log" in command
        log = folder / "client.log"
        newcomer.wait(lambda: log.exists() and "'v2'" in log.read_text(), "calls of both versions")
        newcomer.wait(newcomer.applied, "everything to be applied")
        newcomer.do("sed -i 's/weight: 90/weight: 0/; s/weight: 10/weight: 100/' policies/greeter.yaml")
        newcomer.do("git commit -q -a -m 'v2' && reconcile --allow guard-weight-increase")
        newcomer.wait(lambda: log.read_text().splitlines()[-1] == "{'v2': 1000}", "all calls to go to v2")


def test_every_other_document_of_the_page_is_valid() -> None:
    """What people copy from the sections below goes with the quick start.

    What lacks is on the page in words: the second instance, and a Gateway.
    """
    *start, revert, remote = blocks(TOP / "docs" / "ads.md", "yaml")
    for text in (revert, remote):
        loaded = load(MemoryTree({"policies/all.yaml": "---\n".join([*start, text])}))
        found = {item.code for item in loaded.diagnostics}
        assert found <= {"ref-endpoints", "ref-selector"}, found


def test_the_remote_gateway_gets_its_bootstrap(folder: Path) -> None:
    """The command makes what has to be on its host, below the folder that it names."""
    section = ADS[ADS.index("A gateway on another host") : ADS.index("Copy `edge.yaml`")]
    command = next(text for text in section.splitlines() if text.startswith("$ reconcile bootstrap"))
    with Newcomer(folder, ports=()) as newcomer:
        (folder / "policies" / "all.yaml").write_text(blocks(TOP / "docs" / "ads.md", "yaml")[-1])
        newcomer.do("git add policies && git commit -q -m Start")
        newcomer.do(command.removeprefix("$ "))
    assert "reconciler.example.com" in (folder / "edge.yaml").read_text()
    assert len(list((folder / "edge").rglob("bootstrap-*.json"))) == 2
