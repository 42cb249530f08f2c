"""`reconcile services` end to end: Git and a registry describe services, one Envoy calls them, with a daemon and without."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.demo.commands import Daemon
from tests.e2e.rig import HOST, MESH, Rig, clean_environment, cli
from tests.http.servers import Server, answer, read_request

EVIL = "\x1b]0;owned\x07\x1b[2J|<b>`x`\u202e" + "y" * 5000
RATINGS = "ratings.default.svc.cluster.local"


class Told(Rig):
    """A gateway, `details` in Git and in a file, and `ratings` in the file and at a URL alone."""

    def __init__(self, folder: Path) -> None:
        self.targets = folder / "targets.json"
        self.targets.write_text("[]")
        self.more = folder / "more.json"
        self.server = Server(self._answer)
        super().__init__(folder)
        self.stack.callback(self.server.close)
        self.socket = folder / "d.sock"

    def files(self) -> dict[str, str]:
        ports = "[{number: 9080, name: http, protocol: HTTP}]"
        registries = (
            f"{{name: files, fileSd: {{files: [{self.targets}], ports: {ports}}}}}",
            f"{{name: more, httpSd: {{url: {self.server.address}, interval: 100ms, ports: {ports}}}}}",
        )
        return super().files() | {
            "policies/mesh.yaml": MESH.replace("5s}", f"5s, discovery: [{', '.join(registries)}]}}")
        }

    def _answer(self, connection: socket.socket, over: threading.Event) -> None:
        """What the second file says, by HTTP; an error while there is no such file."""
        while not over.is_set() and read_request(connection):
            there = self.more.exists()
            body = self.more.read_bytes() if there else b"gone"
            connection.sendall(answer(200 if there else 500, body, b"Content-Type: application/json"))

    def list(self, *groups: tuple[str, str, dict[str, str]], file: Path | None = None) -> None:
        """Have a file list these hosts, targets and labels."""
        where = file or self.targets
        new = where.with_suffix(".new")
        new.write_text(
            json.dumps([{"targets": [target], "labels": {"job": host, **labels}} for host, target, labels in groups])
        )
        new.replace(where)

    def asked(self, *options: str, alone: bool = False) -> tuple[int, str, str]:
        """`reconcile services`, by the daemon or without one: exit code and what is printed."""
        out, err = StringIO(), StringIO()
        daemon = [] if alone else ["--daemon", str(self.socket)]
        where = ["--repo", str(self.repo), "--cache", str(self.folder / "cache")]
        with redirect_stdout(out), redirect_stderr(err):
            code = cli(["services", *options, *daemon, *where])
        return code, out.getvalue(), err.getvalue()

    def document(self, *options: str, alone: bool = False) -> Any:
        """The same as JSON."""
        return json.loads(self.asked("-o", "json", *options, alone=alone)[1])


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """With a third instance of details, one of ratings that has much to say, and a daemon that has applied all that."""
    with Told(tmp_path_factory.mktemp("s")) as rig:
        rig.list(("details", "127.0.0.9:81", {"version": "v3"}), ("ratings", "127.0.0.9:82", {"evil": EVIL}))
        rig.list(("ratings", "127.0.0.9:83", {}), file=rig.more)
        daemon = Daemon(
            "--repo", str(rig.repo), "--daemon", str(rig.socket), "--interval", "200ms", "--cache", str(rig.folder / "c"),
            environ=clean_environment(), log=rig.folder / "daemon.log",
        )  # fmt: skip
        rig.stack.callback(daemon.stop)
        daemon.start()
        rig.wait(lambda: len(rig.receipts()) > 0, daemon.tail())
        yield rig


def only(found: Any, host: str) -> Any:
    """One service of a document."""
    (item,) = (item for item in found["services"] if item["host"] == host)
    return item


def places(item: Any) -> list[tuple[str, str | None]]:
    """The instances that were given to a service, and the registries that list them."""
    return [(f"{one['address']}:{one['ports']['http']}", one["registry"]) for one in item["endpoints"]]


@pytest.mark.parametrize("alone", [False, True])
def test_a_service_of_git_and_of_registries(rig: Told, *, alone: bool) -> None:
    """Where it is declared, where each instance is from, and whether the caller has it; as the daemon says it, or without one."""
    found = rig.document(alone=alone)
    assert (found["schema_version"], found["errors"], found["daemon"] is None) == (1, [], alone)
    assert [(item["registry"], item["state"]) for item in found["registries"]] == [("files", "live"), ("more", "live")]
    details = only(found, HOST)
    assert details["declared"] == {"file": "policies/details.yaml", "document": 0, "line": 1}
    assert ("127.0.0.9:81", "files") in places(details)
    assert details["callers"] == {"proxies": ["default/edge"], "of": 1, "answered": 1}
    seen = {one["labels"]["version"]: one["seen"] for one in details["endpoints"]}
    assert seen["v1"] == seen["v2"] == {"callers": 1, "having": 1, "lacking": 0, "troubles": {}}
    assert (seen["v3"]["having"], seen["v3"]["lacking"]) == (0, 0)  # the gateway has the subsets of its routes
    ratings = only(found, RATINGS)
    assert (ratings["declared"], ratings["registries"]) == (None, ["files", "more"])
    assert places(ratings) == [("127.0.0.9:82", "files"), ("127.0.0.9:83", "more")]
    assert ratings["callers"]["proxies"] == []
    assert ratings["endpoints"][0]["labels"]["evil"] == EVIL


@pytest.mark.parametrize("options", [(), ("ratings",), ("-o", "markdown", "ratings"), ("-o", "json")])
def test_no_word_of_a_registry_steers_the_terminal(rig: Told, options: tuple[str, ...]) -> None:
    """Whatever stands in a file that somebody else writes."""
    code, out, err = rig.asked(*options)
    assert (code, err) == (0, "")
    assert out.replace("\n", "").isprintable()


def test_what_changes_is_shown_without_a_commit(rig: Told) -> None:
    """The daemon's registries say what is there now, and not what was when it compiled."""
    before = rig.document()["commit"]
    rig.list(("ratings", "127.0.0.9:83", {}), ("ratings", "127.0.0.9:84", {"version": "v9"}), file=rig.more)
    rig.wait(lambda: ("127.0.0.9:84", "more") in places(only(rig.document("--registry", "more"), RATINGS)), "it")
    found = rig.document("--registry", "more")
    assert found["commit"] == before
    assert places(only(found, RATINGS)) == [("127.0.0.9:83", "more"), ("127.0.0.9:84", "more")]
    assert [item["host"] for item in rig.document("--proxy", "edge")["services"]] == [HOST]


def test_a_registry_that_does_not_answer_is_stale_and_what_it_said_is_shown_as_such(rig: Told) -> None:
    """Its instances stay in use; `services` and `status` say since when nobody vouches for them. It stays so."""
    rig.more.unlink()
    rig.wait(lambda: rig.document()["registries"][1]["state"] == "stale", "the registry to be stale")
    code, out, _ = rig.asked("ratings")
    (row,) = (line for line in out.splitlines() if line.lstrip().startswith("127.0.0.9:83"))
    assert (code, "more (stale for " in row) == (0, True)
    status = rig.command("status", "--daemon", str(rig.socket))
    assert any(line.split()[:4] == ["more", "http_sd", "stale", "for"] for line in status.out.splitlines())
    found = rig.command("status", "-o", "json", "--daemon", str(rig.socket)).json()
    assert [(item["registry"], item["state"]) for item in found["registries"]] == [("files", "live"), ("more", "stale")]


def test_a_head_that_cannot_be_used_is_an_error_and_what_is_in_force_is_shown(rig: Told) -> None:
    """As in a pass: the commit that was applied last is what proxies have. Last, for the branch stays as it is."""
    good = rig.document()["commit"]
    rig.commit({"policies/bad.yaml": "kind: VirtualService\n"}, "Break it")
    code, out, _ = rig.asked("-o", "json", alone=True)
    found = json.loads(out)
    assert (code, found["commit"], found["errors"][0]["file"]) == (1, good, "policies/bad.yaml")
    assert len(found["services"]) == 2
