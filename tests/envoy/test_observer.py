"""A real Envoy whose admin endpoint is observed from elsewhere: what the listener in front of it lets through, and to whom."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from reconciler.compile import Prototypes, Start, started
from reconciler.envoy import Admin, AdminError, RuntimeNotModifiableError
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Origin
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Certificates, FilesPush, Proxy, Push
from reconciler.model.resource import Resource, ResourceId, set_version
from reconciler.push import prepare_files
from reconciler.settings import AdminSettings
from tests.certificates import Authority, Pair
from tests.compile.meshes import house_templates
from tests.envoy.live import CLUSTER, LISTENER, Files, until

READ = ("/ready", "/stats", "/config_dump", "/clusters", "/listeners", "/server_info", "/init_dump", "/runtime")
_ABSENT = (
    "/", "/quitquitquit", "/runtime_modify", "/certs", "/help", "/memory", "/logging", "/cpuprofiler", "/drain_listeners",
    "/stats/prometheus", "/stats/recentlookups", "/ready/", "/READY", "/statsx", "/x/stats", "//quitquitquit",
    "/stats/../quitquitquit", "/stats/..//quitquitquit", "/stats/./../quitquitquit", "/stats/%2e%2e/quitquitquit",
    "/stats/%2E%2E/quitquitquit", "/stats%2f..%2fquitquitquit", "/stats/..%2fquitquitquit", "/stats%5c..%5cquitquitquit",
    "/stats/..;/quitquitquit", "/stats%00/../quitquitquit", "/%71uitquitquit", "/stats#/../quitquitquit", "/stats;x",
    "http://x/quitquitquit", "*",
)  # fmt: skip
_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Observed:
    """A running Envoy, and the two ways to its admin endpoint."""

    proxy: Policy[Proxy]
    unix: str
    https: str
    ca: Authority
    own: Pair

    @property
    def settings(self) -> AdminSettings:
        """What an observer of the mesh has."""
        return AdminSettings(ca=str(self.ca.root), certificate=str(self.own.chain), key=str(self.own.key))

    def ask(self, request: bytes, pair: Pair | None = None) -> int:
        """Send these bytes over TLS; the status of the answer."""
        return int(self.raw(request, pair).split(b" ")[1])

    def raw(self, request: bytes, pair: Pair | None = None, *, whole: bool = False) -> bytes:
        """Send these bytes over TLS; the first line of the answer, or all until the server closes."""
        port = int(self.https.rpartition(":")[2])
        context = self.ca.client_context(pair or self.own)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                return answer.read() if whole else answer.readline()

    def get(self, target: str) -> int:
        """The status that a GET of exactly these bytes gets."""
        return self.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


@contextmanager
def observed(folder: Path, resources: tuple[Resource, ...] = (), observers: tuple[str, ...] = ()) -> Iterator[Observed]:
    """An Envoy with these resources, whose observer's listener took a free port."""
    Files(folder).write(resources)
    ca = Authority(folder / "ca")
    pair = ca.issue("127.0.0.1", file="proxy")
    certificates = Certificates(
        certificate_chain=str(pair.chain), private_key=str(pair.key), root_certificate=str(ca.root)
    )
    spec = Proxy(labels={"a": "b"}, admin="https://127.0.0.1:1", push=Push(files=FilesPush(directory=str(folder))))
    proxy = Policy("Proxy", Key("default", "lab"), spec, Origin("p.yaml", 0))
    start = Start(certificates=certificates, folder=str(folder), observers=observers)
    built = started(proxy, Prototypes.parse(house_templates()), start)
    prepare_files(built.files)
    message = to_dict(built.message)
    message["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = 0
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(message))
    unix = f"unix://{folder}/admin.sock"
    with EnvoyProcess(bootstrap=path, admin=unix, log=folder / "log"), HttpClient(unix, AdminSettings()) as client:
        listeners = json.loads(client.get("/listeners?format=json").body)["listener_statuses"]
        (port,) = (
            item["local_address"]["socket_address"]["port_value"]
            for item in listeners
            if item["name"] == "reconciler-observer"
        )
        yield Observed(proxy, unix, f"https://127.0.0.1:{port}", ca, ca.issue("daemon.example", file="daemon"))


@pytest.fixture
def lab(envoy: str, short_path: Path) -> Iterator[Observed]:
    """With one of everything."""
    assert envoy
    files = Files(short_path)
    world = (
        files.cluster("a"), files.endpoints("a", 1001, 1002), files.listener("127.0.0.1_9080", "9080"),
        files.route("9080", {"a": 1}),
    )  # fmt: skip
    with observed(short_path, world) as found:
        yield found


def test_an_observation_is_the_same_as_through_the_socket(lab: Observed) -> None:
    """Content, versions and epoch; the listener and the clusters of the bootstrap are nobody's to remove."""
    with Admin(lab.unix, AdminSettings()) as near, Admin(lab.https, lab.settings) as far:
        until(lambda: not near.versions().warming)
        here, there = (admin.observe(lab.proxy, at=lambda: _AT) for admin in (near, far))
    assert here.error is there.error is None
    assert replace(here, versions=None) == replace(there, versions=None)
    assert here.versions is not None
    assert there.versions is not None
    assert here.versions.epoch == there.versions.epoch
    assert dict(here.versions.versions) == dict(there.versions.versions)
    assert {id_.type for id_ in there.resources} == {CLUSTER, LISTENER, "endpoints", "route"}
    assert len(there.resources) == 4  # what was given, and no secret of the bootstrap
    assert there.foreign == {
        ResourceId(CLUSTER, "reconciler-admin"),
        ResourceId(LISTENER, "reconciler-observer"),
    }
    mine = [item for id_, item in there.resources.items() if id_.type is CLUSTER]
    assert there.versions.versions[CLUSTER, ""] == set_version(mine)


def test_what_is_read_goes_through(lab: Observed) -> None:
    """With its query; and whoever looks again and again keeps a connection."""
    for target in READ:
        assert lab.get(target) == 200, target
        if target not in {"/ready", "/runtime"}:  # of those the bootstrap allows no more than the path
            assert lab.get(f"{target}?format=json&filter=x") == 200, target
    with Admin(lab.https, lab.settings) as admin:
        for _ in range(5):
            assert admin.versions().live


def test_it_says_nothing_of_the_proxy_that_was_not_asked(lab: Observed) -> None:
    """No headers of Envoy's own; and its requests are counted apart from the traffic's."""
    head = (
        lab.raw(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", whole=True)
        .partition(b"\r\n\r\n")[0]
        .lower()
    )
    assert b"x-envoy" not in head
    assert b"x-request-id" not in head
    with HttpClient(lab.unix, AdminSettings()) as client:
        counted = client.get("/stats?usedonly&filter=downstream_rq_2xx").text
    counters = {line.partition(".downstream")[0].rpartition("http.")[2] for line in counted.splitlines()}
    assert counters == {"admin", "observer"}


def test_nothing_else_is_there(lab: Observed) -> None:
    """However it is written: refused, and the Envoy still runs."""
    for target in _ABSENT:
        assert 400 <= lab.get(target) < 500, target
    assert lab.get("/ready") == 200


def test_nothing_is_changed(lab: Observed) -> None:
    """Only GET reads; a method in a header is no method."""
    methods = ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE")
    for method, path in product(methods, ("/quitquitquit", "/runtime_modify?a=1", "/ready", "/stats")):
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        assert lab.ask(request.encode()) in {404, 405}, (method, path)
    tunnel = b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"
    assert 400 <= lab.ask(tunnel) < 500
    override = b"GET /quitquitquit HTTP/1.1\r\nHost: x\r\nX-Http-Method-Override: POST\r\nX-Envoy-Original-Path: /ready\r\nX-Original-Url: /ready\r\n\r\n"
    assert lab.ask(override) == 403
    upgrade = b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert lab.ask(upgrade) == 403
    assert lab.get("/ready") == 200


def test_runtime_cannot_be_set_through_it(lab: Observed) -> None:
    """And it says why."""
    with (
        Admin(lab.https, lab.settings) as admin,
        pytest.raises(RuntimeNotModifiableError, match="only to be read") as caught,
    ):
        admin.set_runtime({"a.b": "1"})
    assert caught.value.code == "runtime-forbidden"


def test_only_a_certificate_of_the_root_reads(lab: Observed, tmp_path: Path) -> None:
    """Neither none, nor one of somebody else; the observation says which it was."""
    theirs = Authority(tmp_path / "theirs")
    stranger = theirs.issue("daemon.example")
    with Admin(lab.https, AdminSettings(ca=str(lab.ca.root))) as admin:
        error = admin.observe(lab.proxy, at=lambda: _AT).error
        assert error is not None
        assert error.code in {"admin-tls", "admin-unreachable"}  # a reset may overtake its alert
        assert "none is configured" in error.message
    for _ in range(3):
        with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):  # IndexError: no status line
            lab.ask(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", stranger)
    shown = replace(lab.settings, certificate=str(stranger.chain), key=str(stranger.key))
    with Admin(lab.https, shown) as admin, pytest.raises(AdminError):
        admin.versions()
    with Admin(lab.https, replace(lab.settings, ca=str(theirs.root))) as admin, pytest.raises(AdminError) as caught:
        admin.versions()
    assert (caught.value.code, "--admin-ca" in caught.value.diagnostics[0].hint) == ("admin-tls", True)


def test_who_may_observe_can_be_said(envoy: str, short_path: Path) -> None:
    """Of all certificates of the root, only those with one of the names."""
    assert envoy
    with observed(short_path, observers=("daemon.example",)) as lab:
        assert lab.get("/ready") == 200
        other = lab.ca.issue("app.example", file="other")
        with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
            lab.ask(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", other)


def test_a_renewed_certificate_of_the_proxy_is_shown(lab: Observed) -> None:
    """Without a restart."""
    port = int(lab.https.rpartition(":")[2])

    def shown() -> bytes:
        context = lab.ca.client_context(lab.own)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            return connection.getpeercert(binary_form=True) or b""

    first = shown()
    lab.ca.issue("127.0.0.1", file="proxy")
    until(lambda: shown() != first)


def test_a_large_dump_passes(envoy: str, short_path: Path) -> None:
    """That of some thousands of clusters, in one piece."""
    assert envoy
    files = Files(short_path)
    blob = {"filter_metadata": {"x": {"blob": "x" * 40_000}}}
    big = tuple(
        files.cluster(f"c{number}", type="STATIC", eds_cluster_config=None, metadata=blob) for number in range(400)
    )
    with observed(short_path, big) as lab, HttpClient(lab.https, lab.settings) as client:
        reply = client.get("/config_dump?mask=dynamic_active_clusters,static_clusters")
    assert reply.status == 200
    assert len(reply.body) > 15_000_000
    assert len(json.loads(reply.body)["configs"]) > 0
