"""Clusters in real Envoys: what a policy says is what happens, and what Envoy shows is what it was given."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reconciler.compile.names import ClusterRef
from reconciler.compile.viewer import Viewer
from reconciler.model.proxy import Certificates
from tests.certificates import Authority, Pair
from tests.compile.answering import Answering, answering, until
from tests.compile.envoys import application
from tests.compile.onecluster import alone, rule
from tests.compile.reached import Reached, reached

_HOST = "x.example.com"
_REF = ClusterRef(_HOST, 80)


def _entry(endpoints: str, *, host: str = _HOST, resolution: str = "STATIC", target: int = 80) -> str:
    return f"""
kind: ServiceEntry
metadata: {{name: "{host.replace("*", "any")}"}}
spec:
  hosts: ["{host}"]
  resolution: {resolution}
  ports: [{{number: 80, name: p, protocol: HTTP, targetPort: {target}}}]
  endpoints: [{endpoints}]
"""


def _at(port: int, more: str = "") -> str:
    return f"{{address: 127.0.0.1, ports: {{p: {port}}}{more}}}"


def test_an_endpoint_that_fails_gets_no_requests_for_a_while(tmp_path: Path) -> None:
    """Consecutive 5xx answers eject it as soon as the policy says, and the others answer everything."""
    with ExitStack() as stack:
        good = stack.enter_context(application("good"))
        bad, _ = stack.enter_context(answering(500))
        policy = "{outlierDetection: {consecutive5xxErrors: 2, interval: 1h, maxEjectionPercent: 50}}"
        texts = (_entry(f"{_at(good)}, {_at(bad)}"), rule(policy, host=_HOST))
        live = stack.enter_context(reached(tmp_path, [_REF], *texts))
        first = live.answers(_REF, 40)
        assert first["500"] == 2, first
        assert live.answers(_REF, 20) == {"good": 20}


def test_the_last_endpoint_is_not_panicked_over(tmp_path: Path) -> None:
    """Panic is off with outlier detection: with all endpoints ejected there is a 503, unless `minHealthPercent` says otherwise."""
    with ExitStack() as stack:
        bad, _ = stack.enter_context(answering(500))
        other = ClusterRef("y.example.com", 80)
        base = "consecutive5xxErrors: 1, interval: 1h, maxEjectionPercent: 100"
        texts = (
            _entry(_at(bad)),
            _entry(_at(bad), host=other.host),
            rule(f"{{outlierDetection: {{{base}}}}}", host=_HOST),
            rule(f"{{outlierDetection: {{{base}, minHealthPercent: 50}}}}", host=other.host, name="y"),
        )
        live = stack.enter_context(reached(tmp_path, [_REF, other], *texts))
        assert (live.ask(_REF)[0], live.ask(other)[0]) == (500, 500)
        assert live.ask(_REF) == (503, "no healthy upstream")
        assert live.ask(other)[0] == 500


def test_statuses_of_a_policy_eject(tmp_path: Path) -> None:
    """`outlierDetectionHttpErrorCodes` count as failures do."""
    with ExitStack() as stack:
        good = stack.enter_context(application("good"))
        bad, _ = stack.enter_context(answering(429))
        policy = (
            "{outlierDetection: {consecutive5xxErrors: 1, interval: 1h, maxEjectionPercent: 50, "
            "outlierDetectionHttpErrorCodes: [429, 418]}}"
        )
        texts = (_entry(f"{_at(good)}, {_at(bad)}"), rule(policy, host=_HOST))
        live = stack.enter_context(reached(tmp_path, [_REF], *texts))
        until(lambda: live.ask(_REF)[0] == 429)
        assert live.answers(_REF, 10) == {"good": 10}


def test_requests_beyond_a_limit_are_refused_at_once(tmp_path: Path) -> None:
    """One active request and no other: the next one gets a 503 without waiting."""
    gate = threading.Event()
    with ExitStack() as stack:
        port, waiting = stack.enter_context(answering(200, gate=gate))
        policy = "{connectionPool: {http: {http2MaxRequests: 1}}}"
        live = stack.enter_context(reached(tmp_path, [_REF], _entry(_at(port)), rule(policy, host=_HOST)))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        stack.callback(gate.set)
        first = pool.submit(live.ask, _REF)
        assert waiting.acquire(timeout=10)
        status, body = live.ask(_REF)
        assert (status, body.rpartition(": ")[2]) == (503, "overflow")
        gate.set()
        assert first.result()[0] == 200


def test_a_connection_is_closed_after_its_requests(tmp_path: Path) -> None:
    """`maxRequestsPerConnection: 1` turns keep-alive off."""
    with ExitStack() as stack:
        port = stack.enter_context(application("a"))
        other = ClusterRef("y.example.com", 80)
        policy = "{connectionPool: {http: {maxRequestsPerConnection: 1}}}"
        texts = (_entry(_at(port)), _entry(_at(port), host=other.host), rule(policy, host=_HOST))
        live = stack.enter_context(reached(tmp_path, [_REF, other], *texts))
        assert live.answers(_REF, 5) == live.answers(other, 5) == {"a": 5}
        found = live.stats("upstream_cx_total")
        assert found[f"cluster.{_REF.name}.upstream_cx_total"] == 5
        assert found[f"cluster.{other.name}.upstream_cx_total"] == 1


def test_requests_go_to_the_nearest_priority_until_it_fails(tmp_path: Path) -> None:
    """With outlier detection a caller stays in its locality, and leaves it when its endpoints are ejected."""
    with ExitStack() as stack:
        far = stack.enter_context(application("far"))
        near, _ = stack.enter_context(answering(500))
        policy = (
            "{outlierDetection: {consecutive5xxErrors: 1, interval: 1h, maxEjectionPercent: 50}, "
            "loadBalancer: {localityLbSetting: {enabled: true}}}"
        )
        entry = _entry(f"{_at(near, ', locality: eu/a')}, {_at(far, ', locality: us/a')}")
        viewer = Viewer(namespace="default", locality="eu/a")
        live = stack.enter_context(reached(tmp_path, [_REF], entry, rule(policy, host=_HOST), viewer=viewer))
        assert live.ask(_REF)[0] == 500
        assert live.answers(_REF, 20) == {"far": 20}


def test_localities_get_their_shares(tmp_path: Path) -> None:
    """However many endpoints each has, and none where it has no share."""
    with ExitStack() as stack:
        ports = [stack.enter_context(application(name)) for name in ("eu", "us", "us", "asia")]
        places = ("eu/a", "us/a", "us/b", "asia/a")
        listed = ", ".join(_at(port, f", locality: {place}") for port, place in zip(ports, places, strict=True))
        policy = '{loadBalancer: {localityLbSetting: {distribute: [{from: "eu/*", to: {eu: 80, us: 20}}]}}}'
        viewer = Viewer(namespace="default", locality="eu/a")
        live = stack.enter_context(reached(tmp_path, [_REF], _entry(listed), rule(policy, host=_HOST), viewer=viewer))
        found = live.answers(_REF, 400)
        assert set(found) == {"eu", "us"}
        assert 32 <= found["us"] <= 136  # 20% of 400 is 80, sd 8: six of them are one in a billion
        _same_as_shown(live)


def test_a_new_endpoint_is_warmed_up(tmp_path: Path) -> None:
    """It begins with little while one that has been there for longer has the rest; Envoy takes turns by weight."""
    with ExitStack() as stack:
        ports = [stack.enter_context(application(name)) for name in ("old", "new")]
        policy = "{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 1h, minimumPercent: 0.01}}}"
        rules = rule(policy, host=_HOST)
        live = stack.enter_context(reached(tmp_path, [_REF], _entry(_at(ports[0])), rules))
        since = time.monotonic()
        until(lambda: time.monotonic() - since > 1.5)  # an age is all that tells the two apart
        later = alone(_REF, _entry(", ".join(map(_at, ports))), rules)
        assert later.endpoints is not None
        live.replace(later.endpoints)
        members = f"cluster.{_REF.name}.membership_total"
        until(lambda: live.stats("membership_total")[members] == 2)
        found = live.answers(_REF, 60)
        assert found["old"] > 2 * found["new"], found


def test_names_are_looked_up(tmp_path: Path) -> None:
    """DNS, DNS_ROUND_ROBIN, and NONE without interception; in /etc/hosts as well as at servers."""
    with application("a") as port:
        several, one, itself = (
            ClusterRef("several.example.com", 80),
            ClusterRef("one.example.com", 80),
            ClusterRef("a.localhost", port),
        )
        listed = f"{{address: localhost, ports: {{p: {port}}}}}"
        asked = f"kind: ServiceEntry\nmetadata: {{name: z}}\nspec: {{hosts: [a.localhost], ports: [{{number: {port}, name: p}}]}}"
        texts = (
            _entry(listed, host=several.host, resolution="DNS"),
            _entry(listed, host=one.host, resolution="DNS_ROUND_ROBIN"),
            asked,
        )
        with reached(tmp_path, [several, one, itself], *texts) as live:
            for ref in (several, one, itself):
                assert live.answers(ref, 3) == {"a": 3}, ref
            _same_as_shown(live)


def test_a_wildcard_host_is_whatever_is_asked_for(tmp_path: Path) -> None:
    """The port is the one in `Host`."""
    with application("a") as port:
        ref = ClusterRef("*.example.com", 80)
        with reached(tmp_path, [ref], _entry("", host=ref.host, resolution="DYNAMIC_DNS")) as live:
            assert live.answers(ref, 3, host=f"localhost:{port}") == {"a": 3}
            assert live.ask(ref, host="nobody.invalid:1")[0] == 503
            _same_as_shown(live)


def test_a_unix_socket_is_called(tmp_path: Path) -> None:
    """And shown by Envoy as it was written."""
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=_answer_once, args=(server, b""))
        thread.start()
        with reached(tmp_path, [_REF], _entry(f'{{address: "unix://{path}"}}')) as live:
            assert live.ask(_REF)[0] == 204
            _same_as_shown(live)
        thread.join()


def _answer_once(server: socket.socket, prefix: bytes) -> None:
    """Answer one request with 204; what comes before the request line has to begin so."""
    connection, _ = server.accept()
    with connection:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(4096)
        status = b"204 No Content" if data.startswith(prefix or b"GET") else b"400 Bad Request"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")


@pytest.mark.parametrize(("version", "prefix"), [("V1", b"PROXY TCP4 127.0.0.1"), ("V2", b"\r\n\r\n\x00\r\nQUIT\n")])
def test_the_proxy_protocol_is_spoken(tmp_path: Path, version: str, prefix: bytes) -> None:
    """Before the request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_once, args=(server, prefix))
        thread.start()
        texts = (_entry(_at(server.getsockname()[1])), rule(f"{{proxyProtocol: {{version: {version}}}}}", host=_HOST))
        with reached(tmp_path, [_REF], *texts) as live:
            assert live.ask(_REF)[0] == 204
        thread.join()


def test_a_priority_and_a_locality_are_shown_as_they_were_given(tmp_path: Path) -> None:
    """Nothing that is live differs from what should be, or every pass would push it again."""
    policy = (
        "{outlierDetection: {maxEjectionPercent: 50}, loadBalancer: {localityLbSetting: {failoverPriority: [v], "
        "failover: [{from: eu, to: us}]}, consistentHash: {useSourceIp: true, maglev: {tableSize: 1009}}}}"
    )
    listed = ", ".join(
        f"{{address: 127.0.0.{n}, locality: {place}, labels: {{v: '{n % 2}'}}, weight: {n}}}"
        for n, place in enumerate(("eu/a/1", "eu/a/2", "us/b", "asia", "eu/a/1"), start=1)
    )
    viewer = Viewer(namespace="default", locality="eu/a/1", labels=(("v", "1"),))
    with reached(tmp_path, [_REF], _entry(listed), rule(policy, host=_HOST), viewer=viewer) as live:
        _same_as_shown(live)


def _same_as_shown(live: Reached) -> None:
    shown = live.observed()
    assert shown.error is None
    assert shown.rejections == ()
    assert {id_: item.version for id_, item in shown.resources.items()} == {
        id_: item.version for id_, item in live.view.resources.items()
    }


class _Secure(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: refused handshakes are what is tested."""


@contextmanager
def _secure(pair: Pair, authority: Authority) -> Iterator[int]:
    """An HTTPS server with this certificate; its port."""
    server = _Secure(("127.0.0.1", 0), type("Handler", (Answering,), {"status": 204}))
    server.socket = authority.server_context(pair).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_tls_without_a_named_authority_trusts_the_systems_and_nobody_else(tmp_path: Path) -> None:
    """The request's host is asked for and has to be in the certificate; another authority's certificate is refused."""
    known, unknown = Authority(tmp_path / "known"), Authority(tmp_path / "unknown")
    with ExitStack() as stack:
        good = stack.enter_context(_secure(known.issue("x.example.com"), known))
        bad = stack.enter_context(_secure(unknown.issue("x.example.com"), unknown))
        other = ClusterRef("y.example.com", 80)
        tls = "{tls: {mode: SIMPLE}}"
        texts = (
            _entry(_at(good)),
            _entry(_at(bad), host=other.host),
            rule(tls, host=_HOST),
            rule(tls, host=other.host, name="y"),
        )
        system = Certificates(system_certificates=str(known.root))
        live = stack.enter_context(reached(tmp_path, [_REF, other], *texts, certificates=system))
        assert live.ask(_REF, host=_HOST)[0] == 204
        assert live.ask(_REF, host="z.example.com")[0] == 503
        assert live.ask(other, host=_HOST)[0] == 503
