"""Mutual TLS between two sidecars of the mesh: with certificates it is used, without them or for strangers nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from reconciler.compile import Prototypes, compile_mesh
from reconciler.model.key import Key
from reconciler.model.services import Service, declared
from tests.certificates import Authority
from tests.compile.envoys import application, envoy, free_port
from tests.compile.meshes import documents, house_templates, mesh_of

_MESH = """
kind: Mesh
metadata: {{name: mesh}}
spec:
  certificates: {{certificateChain: {chain}, privateKey: {key}, rootCertificate: {root}}}
---
kind: ServiceEntry
metadata: {{name: b}}
spec:
  hosts: [b.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: {protocol}}}]
  workloadSelector: {{labels: {{app: b}}}}
---
kind: WorkloadEntry
metadata: {{name: b-v1}}
spec: {{address: 127.0.0.1, ports: {{http: {inbound}}}, labels: {{app: b}}, serviceAccount: {account}}}
---
kind: WorkloadEntry
metadata: {{name: a-v1}}
spec: {{address: 127.0.0.1, labels: {{app: a}}}}
---
kind: Sidecar
metadata: {{name: b}}
spec:
  workloadSelector: {{labels: {{app: b}}}}
  ingress: [{{port: {{number: {inbound}, protocol: {protocol}}}, defaultEndpoint: "127.0.0.1:{app}"}}]
  egress: [{{hosts: ["~/*"]}}]
---
kind: Sidecar
metadata: {{name: a}}
spec:
  workloadSelector: {{labels: {{app: a}}}}
  egress: [{{port: {{number: {outbound}, protocol: HTTP_PROXY}}, hosts: ["*/*"]}}]
---
kind: DestinationRule
metadata: {{name: b}}
spec: {{host: b, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}
---
kind: Proxy
metadata: {{name: a}}
spec: {{workload: a-v1, admin: "http://127.0.0.1:{admin_a}", push: {{files: {{directory: {folder}/a}}}}}}
---
kind: Proxy
metadata: {{name: b}}
spec: {{workload: b-v1, admin: "http://127.0.0.1:{admin_b}", push: {{files: {{directory: {folder}/b}}}}}}
"""


@dataclass(frozen=True)
class Pair:
    """Two running sidecars.

    Attributes:
        outbound: Where a's application calls.
        inbound: Where b is called.
        admin: Of b.
    """

    outbound: int
    inbound: int
    admin: int

    def handshakes(self) -> int:
        """TLS connections that b's sidecar has taken."""
        text = _get(self.admin, "/stats?filter=listener.*ssl.handshake$", "admin")[1]
        return sum(int(line.rpartition(": ")[2]) for line in text.splitlines())


def _listed(service: Service) -> Service:
    """The same, if a registry and not Git had its instances."""
    found = tuple(replace(item, registry="r", workload="") for item in service.endpoints)
    accounts = frozenset(item.service_account for item in found)
    return replace(service, discovered=True, endpoints=found, accounts=accounts)


def _get(port: int, path: str, host: str) -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={"host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture(
    params=[("b", False), ("other", False), ("b", True), ("other", True)],
    ids=["expected identity", "other identity", "expected of a listed one", "other of a listed one"],
)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Pair, bool]]:
    """The sidecars, and whether b has the identity that callers expect of its service account, which Git or a registry says."""
    authority = Authority(tmp_path / "ca")
    own = authority.identify("spiffe://cluster.local/ns/default/sa/b", file="own")
    account, listed = request.param
    with ExitStack() as stack:
        app = stack.enter_context(application("b"))
        made = Pair(free_port(), free_port(), free_port())
        text = _MESH.format(
            chain=own.chain, key=own.key, root=authority.root, protocol="HTTP", inbound=made.inbound, app=app,
            outbound=made.outbound, admin_a=free_port(), admin_b=made.admin, folder=tmp_path, account=account,
        )  # fmt: skip
        mesh = mesh_of(documents(text))
        prototypes = Prototypes.parse(house_templates())
        services = [_listed(item) if listed else item for item in declared(mesh)]
        compiled = compile_mesh(mesh, services, prototypes)
        assert [item.code for item in compiled.findings] == []
        for proxy in mesh.proxies:
            folder = tmp_path / f"run-{proxy.key.name}"
            folder.mkdir()
            stack.enter_context(envoy(proxy, compiled.views[Key("default", proxy.key.name)], prototypes, folder))
        yield made, account == "b"


def test_sidecars_with_certificates_speak_mutual_tls(pair: tuple[Pair, bool]) -> None:
    """ISTIO_MUTUAL is used towards a sidecar of the expected identity and no other; callers without TLS still get in."""
    sidecars, expected = pair
    assert _get(sidecars.inbound, "/", "b") == (200, "b")
    assert sidecars.handshakes() == 0
    status, body = _get(sidecars.outbound, "/", "b.default.svc.cluster.local")
    assert (status, body) == (200, "b") if expected else status == 503
    if expected:
        assert sidecars.handshakes() >= 1
