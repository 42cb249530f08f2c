"""A real Envoy, started as rendered, and a real gRPC server that it finds."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.compile import AdsLink, Prototypes, Start, started
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient, HttpError
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Certificates, Proxy
from reconciler.model.variant import Variant
from reconciler.push import prepare_files
from reconciler.settings import AdminSettings, AdsSettings
from reconciler.xds import Plane
from reconciler.xds.server import AdsServer
from tests.certificates import Authority, Pair
from tests.compile.ads import Daemon
from tests.compile.meshes import house_templates, mesh_of


@contextmanager
def running(folder: Path, link: AdsLink, certificates: Certificates | None = None) -> Iterator[EnvoyProcess]:
    """An Envoy with this bootstrap; it is ready once a daemon has said that there is nothing for it."""
    path = written(folder, link, certificates)
    with EnvoyProcess(bootstrap=path, admin=f"unix://{folder}/admin.sock", log=folder / "log") as process:
        yield process


def written(folder: Path, link: AdsLink, certificates: Certificates | None) -> Path:
    """A bootstrap, and what it refers to."""
    start = Start(ads=link, certificates=certificates or Certificates(), folder=str(folder))
    built = started(proxy_of(f"unix://{folder}/admin.sock"), Prototypes.parse(house_templates()), start)
    prepare_files(built.files)
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(to_dict(built.message)))
    return path


def proxy_of(admin: str) -> Policy[Proxy]:
    """A gateway with a place."""
    spec = f'labels: {{role: edge}}, locality: eu/a/b, admin: "{admin}", push: {{ads: {{}}}}'
    (proxy,) = mesh_of(f"kind: Proxy\nmetadata: {{name: p, namespace: shop}}\nspec: {{{spec}}}").proxies
    return proxy


def paths(authority: Authority, pair: Pair) -> Certificates:
    """What a Proxy document would name."""
    return Certificates(
        certificate_chain=str(pair.chain), private_key=str(pair.key), root_certificate=str(authority.root)
    )


def stat(admin: str, name: str) -> int:
    """One of its counters; 0 while nothing answers."""
    with HttpClient(admin, AdminSettings()) as client:
        try:
            text = client.get(f"/stats?filter=^{name}$").text
        except HttpError:
            return 0
    return int(dict(line.split(": ") for line in text.splitlines()).get(name, "0"))


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, and fail if it never comes."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "the condition never came"
        time.sleep(0.02)


@pytest.mark.parametrize("variant", list(Variant))
def test_an_envoy_says_who_it_is(envoy: str, short_path: Path, variant: Variant) -> None:
    """The daemon learns from the first request what a Proxy document would say."""
    assert envoy
    with Daemon() as daemon:
        link = AdsLink(host="127.0.0.1", port=daemon.port, variant=variant)
        with running(short_path, link):
            stream = daemon.stream()
    assert stream.variant == variant
    assert stream.node["id"] == "shop/p"
    assert stream.node["locality"] == {"region": "eu", "zone": "a", "sub_zone": "b"}
    assert stream.node["metadata"] == {
        "name": "p",
        "namespace": "shop",
        "workload": "",
        "labels": {"role": "edge"},
        "admin": f"unix://{short_path}/admin.sock",
    }
    assert stream.serial == 0


def test_a_daemon_that_comes_back_is_found(envoy: str, short_path: Path) -> None:
    """The same Envoy, on the same port, without a restart of its own."""
    assert envoy
    with Daemon() as daemon:
        port = daemon.port
        with running(short_path, AdsLink(host="localhost", port=port)) as process:
            daemon.stream()
            daemon.__exit__()
            until(lambda: stat(process.admin, "control_plane.connected_state") == 0)
            with Daemon(port) as again:
                assert again.stream().node["id"] == "shop/p"
                until(lambda: stat(process.admin, "control_plane.connected_state") == 1)


def test_a_stream_is_secured_both_ways_and_certificates_are_renewed(envoy: str, short_path: Path) -> None:
    """The proxy shows its certificate; one that is moved into its place is shown from the next stream on."""
    assert envoy
    authority = Authority(short_path / "ca")
    first = authority.issue("p.shop", file="proxy")
    with Daemon(0, authority, authority.issue("127.0.0.1")) as daemon:
        link = AdsLink(host="127.0.0.1", port=daemon.port)
        with running(short_path, link, paths(authority, first)) as process:
            assert daemon.stream().serial == first.serial
            second = authority.issue("p.shop", file="proxy")
            assert second.serial != first.serial
            until(
                lambda: (
                    stat(process.admin, "cluster.reconciler-ads.client_ssl_socket_factory.ssl_context_update_by_sds")
                    >= 3
                )
            )
            daemon.__exit__()
            with Daemon(daemon.port, authority, authority.issue("127.0.0.1")) as again:
                assert again.stream().serial == second.serial


@pytest.mark.parametrize(
    ("issuer", "name", "counter"),
    [("ours", "127.0.0.2", "fail_verify_san"), ("theirs", "127.0.0.1", "fail_verify_error")],
)
def test_a_server_that_is_not_the_daemon_is_told_nothing(
    envoy: str, short_path: Path, issuer: str, name: str, counter: str
) -> None:
    """A certificate for another name, or of somebody else, ends the connection before the first request."""
    ours = Authority(short_path / "ours")
    impostor = (ours if issuer == "ours" else Authority(short_path / "theirs")).issue(name, file="them")
    with Daemon(0, ours, impostor) as other:
        link = AdsLink(host="127.0.0.1", port=other.port)
        path = written(short_path, link, paths(ours, ours.issue("p.shop", file="proxy")))
        with subprocess.Popen([envoy, "-c", str(path), "--disable-hot-restart"], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: stat(f"unix://{short_path}/admin.sock", f"cluster.reconciler-ads.ssl.{counter}") > 0)
            finally:
                process.terminate()
        assert other.idle


@pytest.mark.parametrize("variant", list(Variant))
def test_the_products_own_daemon_serves_it(envoy: str, short_path: Path, variant: Variant) -> None:
    """Mutual TLS, with a certificate that names the proxy, from the rendered bootstrap to the daemon's state."""
    assert envoy
    authority = Authority(short_path / "ca")
    server = authority.issue("127.0.0.1")
    own = authority.identify("spiffe://cluster.local/ns/shop/sa/p", file="proxy")
    settings = AdsSettings(
        address="127.0.0.1:0",
        certificate=str(server.chain),
        key=str(server.key),
        client_ca=str(authority.root),
        identities=("spiffe://*/ns/{namespace}/sa/{name}",),
    )
    plane, key = Plane(), Key("shop", "p")
    plane.publish(key, ())
    daemon = AdsServer(plane, settings)
    try:
        link = AdsLink.parse(daemon.start(), variant=variant)
        with running(short_path, link, paths(authority, own)):
            until(lambda: plane.state(key).connected and plane.state(key).settled)
            state = plane.state(key)
        assert state.variant == variant
        (joined,) = plane.joined()
        assert (joined.key, joined.locality, dict(joined.labels)) == (key, "eu/a/b", {"role": "edge"})
    finally:
        daemon.stop()
