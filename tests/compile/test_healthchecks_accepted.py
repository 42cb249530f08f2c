"""Whatever HealthCheck validation lets through, a real Envoy takes, on every kind of port and by every way of finding instances."""

from __future__ import annotations

import json
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from hypothesis import HealthCheck as Tiresome
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compile import Prototypes, compile_mesh
from reconciler.compile.offline import offline
from reconciler.envoy.validation import Validator
from reconciler.model.healthcheck import HealthCheck
from reconciler.model.origin import Origin
from reconciler.model.services import declared
from reconciler.policy.checks.healthcheck import check_health_check
from reconciler.policy.findings import Report
from reconciler.yamldoc import dump
from tests.compile.checkspecs import specs
from tests.compile.meshes import documents, house_templates, mesh_of, service, sidecar_proxy, workload


def _found(host: str, fields: str) -> str:
    ports = "[{number: 80, name: p, protocol: HTTP}, {number: 90, name: g, protocol: GRPC}]"
    return f"kind: ServiceEntry\nmetadata: {{name: {host}}}\nspec: {{hosts: [{host}.example.com], ports: {ports}, {fields}}}"


_NAMES = "endpoints: [{address: one.example.com}]"
_REST = documents(
    service("a", "9080", "7070/GRPC", "5432/TCP"),
    workload("a1", app="a", address="10.0.0.1"),
    "kind: DestinationRule\nmetadata: {name: a}\nspec: {host: a, trafficPolicy: {tls: {mode: SIMPLE}, "
    "connectionPool: {http: {useClientProtocol: true}}}}",
    _found("pipe", 'resolution: STATIC, endpoints: [{address: "unix:///run/x.sock"}]'),
    _found("dns", f"resolution: DNS, {_NAMES}"),
    _found("robin", f"resolution: DNS_ROUND_ROBIN, {_NAMES}"),
    _found("none", "resolution: NONE"),
    sidecar_proxy("a1"),
)
_HOSTS = ("a", "pipe.example.com", "dns.example.com", "robin.example.com", "none.example.com")


@settings(max_examples=15, deadline=None, suppress_health_check=[Tiresome.too_slow])
@given(drawn=st.lists(specs(), min_size=len(_HOSTS), max_size=len(_HOSTS)))
def test_envoy_takes_every_check_that_is_valid(drawn: list[dict[str, Any]]) -> None:
    """The rules have nothing against these documents, and neither has `envoy --mode validate` against what they become."""
    texts = [_REST]
    for number, (host, fields) in enumerate(zip(_HOSTS, drawn, strict=True)):
        whole = {"host": host, **fields}
        report = Report(Origin("policies/a.yaml", 0))
        check_health_check(HealthCheck.model_validate_json(json.dumps(whole)), report)
        assert not report.failed, report.findings
        texts.append(dump({"kind": "HealthCheck", "metadata": {"name": f"check-{number}"}, "spec": whole}))
    mesh = mesh_of(*texts)
    (view,) = compile_mesh(mesh, declared(mesh), Prototypes.parse(house_templates())).views.values()
    parts = offline(view)
    checked = {cluster.name.rpartition("|")[2] for cluster in parts.clusters if cluster.health_checks}
    assert checked == {item.host for item in declared(mesh)}
    message = Bootstrap()
    message.static_resources.clusters.extend(parts.clusters)
    assert Validator().ask(message.SerializeToString()).complaint == ""
