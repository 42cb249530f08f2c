"""Sidecars in real Envoys, without interception: connections of every protocol go where the policies say."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from reconciler.compile import Prototypes, bootstrap, compile_mesh
from reconciler.compile.offline import offline, offline_bootstrap
from reconciler.envoy.binary import find_envoy
from reconciler.model.protos import to_dict
from reconciler.model.services import declared
from tests.certificates import Authority
from tests.compile.backends import greeter, greeting
from tests.compile.envoys import application, envoy, free_port
from tests.compile.meshes import documents, house_templates, mesh_of
from tests.compile.strategies import texts

_PROXY = """
kind: Proxy
metadata: {{name: caller}}
spec: {{workload: caller, admin: "unix://{folder}/admin.sock", push: {{files: {{directory: "{folder}/xds"}}}}}}
---
kind: WorkloadEntry
metadata: {{name: caller}}
spec: {{address: 127.0.0.9, labels: {{app: caller}}}}
"""


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=texts())
def test_envoy_takes_whatever_is_compiled(documents: list[str]) -> None:
    """Every listener of every proxy, however policies meet: two chains for one connection would cost all of them."""
    mesh = mesh_of(*documents)
    prototypes = Prototypes.parse(house_templates())
    result = compile_mesh(mesh, declared(mesh), prototypes)
    for proxy in mesh.proxies:
        whole = offline_bootstrap(bootstrap(proxy, prototypes))
        parts = offline(result.views[proxy.key])
        whole.static_resources.clusters.extend(parts.clusters)
        whole.static_resources.listeners.extend(parts.listeners)
        command = [
            find_envoy(),
            "--mode",
            "validate",
            "--log-level",
            "error",
            "--config-yaml",
            json.dumps(to_dict(whole)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def service(
    host: str, port: int, protocol: str, *endpoints: int, addresses: str = "", labels: tuple[str, ...] = ()
) -> str:
    """A ServiceEntry whose endpoints are ports of 127.0.0.1, with a `version` each."""
    versions = labels or ("v1",) * len(endpoints)
    listed = ", ".join(
        f"{{address: 127.0.0.1, ports: {{p: {number}}}, labels: {{version: {version}}}}}"
        for number, version in zip(endpoints, versions, strict=True)
    )
    return f"""
kind: ServiceEntry
metadata: {{name: {host.partition(".")[0]}}}
spec:
  hosts: [{host}]
  addresses: [{addresses}]
  resolution: STATIC
  ports: [{{number: {port}, name: p, protocol: {protocol}}}]
  endpoints: [{listed}]
"""


@contextmanager
def running(folder: Path, *texts: str) -> Iterator[None]:
    """The sidecar of `caller`, in a mesh of these documents that has nothing wrong."""
    mesh = mesh_of(documents(_PROXY.format(folder=folder), *texts))
    prototypes = Prototypes.parse(house_templates())
    result = compile_mesh(mesh, declared(mesh), prototypes)
    assert result.findings == ()
    (proxy,) = mesh.proxies
    with envoy(proxy, result.views[proxy.key], prototypes, folder):
        yield
    assert "deprecated" not in (folder / "envoy.log").read_text().lower()


def asked(port: int, host: str, *, address: str = "127.0.0.1") -> str:
    """The body of a good answer, or the status of another."""
    with closing(HTTPConnection(address, port, timeout=10)) as client:
        client.request("GET", "/", headers={"host": host})
        answer = client.getresponse()
        body = answer.read().decode()
        return body if answer.status == 200 else str(answer.status)


def test_tcp_goes_by_address_and_by_sidecar_listener(tmp_path: Path) -> None:
    """Two TCP services share a port at addresses of their own; one without addresses is reached by a Sidecar's listener."""
    with ExitStack() as stack:
        one, two, three = (stack.enter_context(greeter(name)) for name in ("one", "two", "three"))
        port, other = free_port(), free_port()
        sidecar = f"""
kind: Sidecar
metadata: {{name: s}}
spec:
  egress:
  - {{port: {{number: {other}, protocol: TCP}}, bind: 127.0.0.41, hosts: ["./three.example.com"]}}
  - {{hosts: ["*/*"]}}
"""
        stack.enter_context(
            running(
                tmp_path,
                service("one.example.com", port, "TCP", one, addresses="127.0.0.31"),
                service("two.example.com", port, "MYSQL", two, addresses="127.0.0.32"),
                service("three.example.com", port, "TCP", three),
                sidecar,
            )
        )
        assert greeting("127.0.0.31", port) == "one"
        assert greeting("127.0.0.32", port) == "two"
        assert greeting("127.0.0.41", other) == "three"


def test_tcp_rules_split_connections_and_keep_shares_of_nothing(tmp_path: Path) -> None:
    """By weight, with a share of 0 beside it, which Envoy's own message can't say."""
    with ExitStack() as stack:
        one, two = stack.enter_context(greeter("one")), stack.enter_context(greeter("two"))
        port = free_port()
        policies = f"""
kind: DestinationRule
metadata: {{name: db}}
spec: {{host: db.example.com, subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]}}
---
kind: VirtualService
metadata: {{name: db}}
spec:
  hosts: [db.example.com]
  tcp:
  - match: [{{port: {port}, sourceLabels: {{app: caller}}}}]
    route:
    - {{destination: {{host: db.example.com, subset: v1}}, weight: 50}}
    - {{destination: {{host: db.example.com, subset: v2}}, weight: 50}}
    - {{destination: {{host: db.example.com}}, weight: 0}}
"""
        text = service("db.example.com", port, "TCP", one, two, addresses="127.0.0.33", labels=("v1", "v2"))
        stack.enter_context(running(tmp_path, text, policies))
        found = Counter(greeting("127.0.0.33", port) for _ in range(60))
        assert set(found) == {"one", "two"}


def test_tls_goes_by_server_name_and_http_stays_on_the_same_port(tmp_path: Path) -> None:
    """Services without rules by their own names, others by their rules; plain requests beside them; unknown names are closed."""
    authority = Authority(tmp_path / "ca")
    context = authority.client_context()
    names = ("a.example.com", "b.example.com", "moved.example.org")
    with ExitStack() as stack:
        server = authority.server_context(authority.issue(*names))
        a, b = stack.enter_context(greeter("a", context=server)), stack.enter_context(greeter("b", context=server))
        web = stack.enter_context(application("web"))
        port = free_port()
        rules = """
kind: VirtualService
metadata: {name: b}
spec:
  hosts: [b.example.com, moved.example.org]
  tls: [{match: [{sniHosts: [b.example.com, moved.example.org]}], route: [{destination: {host: b.example.com}}]}]
"""
        stack.enter_context(
            running(
                tmp_path,
                service("a.example.com", port, "TLS", a),
                service("b.example.com", port, "HTTPS", b),
                service("web.example.com", port, "HTTP", web, addresses="127.0.0.34"),
                rules,
            )
        )
        assert greeting("127.0.0.1", port, context=context, server_name="a.example.com") == "a"
        assert greeting("127.0.0.1", port, context=context, server_name="b.example.com") == "b"
        assert greeting("127.0.0.1", port, context=context, server_name="moved.example.org") == "b"
        assert greeting("127.0.0.1", port, context=context, server_name="unknown.example.com") == ""
        assert asked(port, "web.example.com") == "web"
        assert asked(port, "unknown.example.com") == "502"
        assert asked(port, "127.0.0.34", address="127.0.0.34") == "web"


def test_an_http_proxy_beside_everything_else(tmp_path: Path) -> None:
    """It routes by Host and port among HTTP services; those of TCP are not its."""
    with ExitStack() as stack:
        web, db = stack.enter_context(application("web")), stack.enter_context(greeter("db"))
        port = free_port()
        sidecar = f"""
kind: Sidecar
metadata: {{name: s}}
spec: {{egress: [{{port: {{number: {port}, protocol: HTTP_PROXY}}, bind: 127.0.0.1, hosts: ["*/*"]}}]}}
"""
        stack.enter_context(
            running(
                tmp_path,
                service("web.example.com", 8080, "HTTP", web),
                service("db.example.com", 5432, "TCP", db),
                sidecar,
            )
        )
        assert asked(port, "web.example.com:8080") == "web"
        assert asked(port, "db.example.com:5432") == "502"


def test_an_egress_proxy_gets_what_nobody_knows(tmp_path: Path) -> None:
    """Requests for unknown hosts, and TLS for unknown names, in either mode."""
    authority = Authority(tmp_path / "ca")
    with ExitStack() as stack:
        web, proxy = stack.enter_context(application("web")), stack.enter_context(application("proxy"))
        port = free_port()
        sidecar = """
kind: Sidecar
metadata: {name: s}
spec:
  egress: [{hosts: ["*/*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY, egressProxy: {host: proxy.example.com, port: {number: 3128}}}
"""
        server = authority.server_context(authority.issue("a.example.com"))
        known = stack.enter_context(greeter("a", context=server))
        stack.enter_context(
            running(
                tmp_path,
                service("web.example.com", port, "HTTP", web),
                service("a.example.com", port, "TLS", known),
                service("proxy.example.com", 3128, "HTTP", proxy),
                sidecar,
            )
        )
        assert asked(port, "web.example.com") == "web"
        assert asked(port, "elsewhere.example.com") == "proxy"
        context = authority.client_context()
        assert greeting("127.0.0.1", port, context=context, server_name="a.example.com") == "a"


_WORKLOAD = """
kind: ServiceEntry
metadata: {{name: own}}
spec:
  hosts: [own.example.com]
  resolution: STATIC
  ports:
  - {{number: 1, name: db, protocol: TCP, targetPort: {db}}}
  - {{number: 2, name: web, protocol: HTTP, targetPort: {web}}}
  workloadSelector: {{labels: {{app: caller}}}}
"""
_NOBODY = "egress: [{hosts: ['~/*']}]"


def test_inbound_connections_reach_the_application(tmp_path: Path) -> None:
    """Of TCP and HTTP services, on the workload's own address, without any Sidecar but a quiet one."""
    with ExitStack() as stack:
        db, web = stack.enter_context(greeter("db")), stack.enter_context(application("web"))
        quiet = f"kind: Sidecar\nmetadata: {{name: s}}\nspec: {{{_NOBODY}}}"
        stack.enter_context(running(tmp_path, _WORKLOAD.format(db=db, web=web), quiet))
        assert greeting("127.0.0.9", db) == "db"
        assert asked(web, "anything", address="127.0.0.9") == "web"


def test_ingress_listeners_end_tls_or_pass_it_on(tmp_path: Path) -> None:
    """HTTPS and TLS with `tls` are ended with the certificate that it names; TLS without is the application's."""
    authority = Authority(tmp_path / "ca")
    context = authority.client_context()
    pair = authority.issue("own.example.com")
    with ExitStack() as stack:
        db, web = stack.enter_context(greeter("db")), stack.enter_context(application("web"))
        secure = stack.enter_context(greeter("secure", context=authority.server_context(pair)))
        https, tls, through = free_port(), free_port(), free_port()
        ended = f"tls: {{mode: SIMPLE, serverCertificate: {pair.chain}, privateKey: {pair.key}}}"
        sidecar = f"""
kind: Sidecar
metadata: {{name: s}}
spec:
  workloadSelector: {{labels: {{app: caller}}}}
  ingress:
  - {{port: {{number: {https}, protocol: HTTPS}}, defaultEndpoint: "127.0.0.1:{web}", {ended}}}
  - {{port: {{number: {tls}, protocol: TLS}}, defaultEndpoint: "127.0.0.1:{db}", {ended}}}
  - {{port: {{number: {through}, protocol: TLS}}, defaultEndpoint: "127.0.0.1:{secure}"}}
  {_NOBODY}
"""
        stack.enter_context(running(tmp_path, sidecar))
        assert greeting("127.0.0.9", tls, context=context, server_name="own.example.com") == "db"
        assert greeting("127.0.0.9", through, context=context, server_name="own.example.com") == "secure"
        request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        assert (
            greeting("127.0.0.9", https, context=context, server_name="own.example.com", first=request).split()[1]
            == "200"
        )
