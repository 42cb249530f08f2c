"""Rules in a real Envoy, where what it does is not what its fields make one think."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from reconciler.compile import Prototypes, compile_mesh
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.model.services import declared
from reconciler.settings import AdminSettings
from tests.compile.envoys import application, envoy, free_port
from tests.compile.meshes import documents, house_templates, mesh_of

_SUBSETS = (
    "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}]"
)


def _service(name: str, **ports: int) -> str:
    """A service whose endpoints have the versions that `ports` names."""
    endpoints = "".join(
        f"  - {{address: 127.0.0.1, ports: {{http: {port}}}, labels: {{version: {version}}}}}\n"
        for version, port in ports.items()
    )
    return f"""
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
{endpoints}"""


def _rule(http: str, *hosts: str) -> str:
    return f"""
kind: VirtualService
metadata: {{name: {hosts[0].partition(".")[0]}}}
spec:
  hosts: [{", ".join(hosts)}]
  gateways: [edge]
  http:
{http}"""


class _Edge:
    """A gateway that runs."""

    def __init__(self, port: int, process: EnvoyProcess, admin: str) -> None:
        self._port = port
        self._admin = admin
        self.process = process

    def get(self, host: str, headers: Sequence[Mapping[str, str]] = ({},)) -> Iterator[tuple[HTTPResponse, str]]:
        """One request after the other on one connection, each with these headers."""
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=10)) as client:
            for item in headers:
                client.request("GET", "/", headers={"host": host, **item})
                answer = client.getresponse()
                yield answer, answer.read().decode()

    def counter(self, service: str, name: str) -> int:
        """A counter of a service's cluster."""
        with HttpClient(self._admin, AdminSettings()) as client:
            text = client.get("/stats?type=Counters").text
        lines = (line.rpartition(": ") for line in text.splitlines())
        wanted = f"|80||{service}.default.svc.cluster.local", f".{name}"
        (value,) = [int(value) for key, _, value in lines if wanted[0] in key and key.endswith(wanted[1])]
        return value


@contextmanager
def _edge(folder: Path, *texts: str) -> Iterator[_Edge]:
    port = free_port()
    gateway = f"""
kind: Gateway
metadata: {{name: edge}}
spec: {{servers: [{{bind: 127.0.0.1, port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ["*"]}}]}}
---
kind: Proxy
metadata: {{name: edge}}
spec: {{admin: "unix://{folder}/edge.sock", push: {{files: {{directory: "{folder}/edge"}}}}}}
"""
    mesh = mesh_of(documents(gateway, *texts))
    prototypes = Prototypes.parse(house_templates())
    (proxy,) = mesh.proxies
    view = compile_mesh(mesh, declared(mesh), prototypes).views[proxy.key]
    with envoy(proxy, view, prototypes, folder) as process:
        yield _Edge(port, process, proxy.spec.admin)


def _shares(*weights: int) -> str:
    """A rule that splits `app` among its versions."""
    shares = "".join(
        f"    - {{destination: {{host: app, subset: v{number}}}, weight: {weight}}}\n"
        for number, weight in enumerate(weights, 1)
    )
    return f"  - route:\n{shares}"


_STEPS: Sequence[tuple[int, ...]] = (
    (100, 0, 0), (995, 5, 0), (95, 5, 0), (750, 250, 0), (50, 50, 0), (40, 60, 0), (0, 100, 0),
)  # fmt: skip
"""The second grows, with and without a change of the total."""

_CROWDED: Sequence[tuple[int, ...]] = ((80, 5, 15), (60, 25, 15), (35, 50, 15), (0, 990, 10), (0, 100, 0))
"""The second grows at the cost of both neighbours."""

_LAST: Sequence[tuple[int, ...]] = ((90, 5, 5), (70, 5, 25), (450, 50, 500), (0, 0, 100))


@pytest.mark.parametrize("key", ["httpHeaderName: x-user", "httpCookie: {name: user, ttl: 0s}"])
@pytest.mark.parametrize("steps", [_STEPS, _CROWDED, _LAST], ids=["two", "middle", "last"])
def test_nobody_leaves_a_canary_that_grows(tmp_path: Path, key: str, steps: Sequence[tuple[int, ...]]) -> None:
    """With a consistent hash, a split sticks: who was in the growing share stays in it, step by step, whatever the total."""
    header = "x-user" if "Header" in key else "cookie"
    value = "user-{}" if "Header" in key else "user=u{}"
    users = [{header: value.format(number)} for number in range(200)]
    growing = "v3" if steps is _LAST else "v2"
    rule = f"kind: DestinationRule\nmetadata: {{name: app}}\nspec:\n  host: app\n  {_SUBSETS}\n"
    rule += f"  trafficPolicy: {{loadBalancer: {{consistentHash: {{{key}}}}}}}\n"
    with ExitStack() as stack:
        ports = {name: stack.enter_context(application(name)) for name in ("v1", "v2", "v3")}
        texts = [_rule(_shares(*weights), f"step{number}.example.com") for number, weights in enumerate(steps)]
        edge = stack.enter_context(_edge(tmp_path, _service("app", **ports), rule, *texts))
        before: set[int] = set()
        for number, weights in enumerate(steps):
            bodies = [body for _, body in edge.get(f"step{number}.example.com", users)]
            again = [body for _, body in edge.get(f"step{number}.example.com", users)]
            assert bodies == again, "a user goes where they went"
            inside = {user for user, body in enumerate(bodies) if body == growing}
            assert before <= inside
            share = weights[int(growing[1]) - 1] / sum(weights)
            assert abs(len(inside) / len(users) - share) < 0.2  # six standard deviations at worst
            before = inside
        assert len(before) == len(users)


def test_a_client_without_the_cookie_gets_one_and_sticks_from_then_on(tmp_path: Path) -> None:
    """Envoy splits before it makes the cookie up: the very first request goes by chance, the others by the cookie."""
    rule = f"kind: DestinationRule\nmetadata: {{name: app}}\nspec:\n  host: app\n  {_SUBSETS}\n"
    rule += "  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: who, ttl: 10s}}}}\n"
    with ExitStack() as stack:
        ports = {name: stack.enter_context(application(name)) for name in ("v1", "v2")}
        texts = [_service("app", **ports), rule, _rule(_shares(50, 50), "split.example.com")]
        edge = stack.enter_context(_edge(tmp_path, *texts))
        for _ in range(5):
            ((first, _),) = edge.get("split.example.com")
            cookie = (first.getheader("set-cookie") or "").partition(";")[0]
            assert cookie.startswith("who=")
            assert len({body for _, body in edge.get("split.example.com", [{"cookie": cookie}] * 10)}) == 1


def test_what_a_fault_leaves_of_timeout_and_retries(tmp_path: Path) -> None:
    """Measured: an abort is not retried, a delay is not part of the timeout; what passes the fault has both."""
    aborted = "  - {fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, retries: {attempts: 3, retryOn: '503'}, route: [{destination: {host: good}}]}\n"
    delayed = "  - {fault: {delay: {fixedDelay: 400ms, percentage: {value: 100}}}, timeout: 200ms, route: [{destination: {host: good}}]}\n"
    retried = "  - {fault: {delay: {fixedDelay: 1ms, percentage: {value: 100}}}, retries: {attempts: 3, retryOn: connect-failure, backoff: 1ms}, route: [{destination: {host: dead}}]}\n"
    plain = "  - {timeout: 100ms, route: [{destination: {host: silent}}]}\n"
    ended = "  - {fault: {delay: {fixedDelay: 1ms, percentage: {value: 100}}}, timeout: 100ms, route: [{destination: {host: silent}}]}\n"
    with ExitStack() as stack:
        silent = stack.enter_context(_silent())
        port = stack.enter_context(application("good"))
        services = [_service("good", v1=port), _service("dead", v1=free_port()), _service("silent", v1=silent)]
        rules = {"aborted": aborted, "delayed": delayed, "retried": retried, "ended": ended, "plain": plain}
        texts = [_rule(http, f"{name}.example.com") for name, http in rules.items()]
        edge = stack.enter_context(_edge(tmp_path, *services, *texts))
        status = {name: [answer.status for answer, _ in edge.get(f"{name}.example.com")] for name in rules}
        assert status == {"aborted": [503], "delayed": [200], "retried": [503], "ended": [504], "plain": [504]}
        assert edge.counter("good", "upstream_rq_retry") == 0
        assert edge.counter("good", "upstream_rq_total") == 1
        assert edge.counter("dead", "upstream_rq_retry") == 3


@contextmanager
def _silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


def test_header_operations_are_done_in_the_order_of_the_document(tmp_path: Path) -> None:
    """First the rule's, then the share's; `set`, `add`, `remove`: of one destination and of a split alike."""
    operations = """
    headers: {response: {set: {x-a: rule, x-b: rule, x-c: rule}, add: {x-d: rule}, remove: [x-e]}}
    route:
    - destination: {host: app, subset: v1}
      headers: {response: {set: {x-a: share, x-d: share}, add: {x-b: share, x-e: share}, remove: [x-c]}}
"""
    other = "      weight: 100\n    - {destination: {host: app, subset: v2}, weight: 0}\n"
    rule = f"kind: DestinationRule\nmetadata: {{name: app}}\nspec: {{host: app, {_SUBSETS}}}\n"
    with ExitStack() as stack:
        ports = {name: stack.enter_context(application(name)) for name in ("v1", "v2")}
        texts = [
            _service("app", **ports),
            rule,
            _rule(f"  - name: x{operations}", "one.example.com"),
            _rule(f"  - name: x{operations}{other}", "two.example.com"),
        ]
        edge = stack.enter_context(_edge(tmp_path, *texts))
        for host in ("one.example.com", "two.example.com"):
            ((answer, body),) = edge.get(host)
            headers = {name: answer.headers.get_all(f"x-{name}") for name in "abcde"}
            assert body == "v1"
            assert headers == {"a": ["share"], "b": ["rule", "share"], "c": None, "d": ["share"], "e": ["share"]}
