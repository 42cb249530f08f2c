"""Whatever RateLimit validation lets through, a real Envoy takes."""

from __future__ import annotations

import json
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compile import Prototypes, compile_mesh
from reconciler.compile.counting import service_configurations
from reconciler.compile.offline import offline
from reconciler.envoy.validation import Validator
from reconciler.model.origin import Origin
from reconciler.model.ratelimit import RateLimit
from reconciler.model.resource import View
from reconciler.model.services import declared
from reconciler.policy.checks.ratelimit import check_rate_limit
from reconciler.policy.findings import Report
from reconciler.yamldoc import dump
from tests.compile.limitspecs import specs
from tests.compile.meshes import documents, gateway_proxy, house_templates, mesh_of, service, sidecar_proxy, workload

_REST = documents(
    service("a"),
    service("rates", "8081/GRPC"),
    workload("w", app="a", address="10.0.0.1"),
    sidecar_proxy("w"),
    gateway_proxy(),
    "kind: Gateway\nmetadata: {name: edge}\nspec: {selector: {istio: edge}, servers: "
    "[{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]}",
    "kind: VirtualService\nmetadata: {name: rules}\nspec: {hosts: [a], gateways: [mesh, edge], http: "
    "[{name: one, match: [{uri: {prefix: /one}}], redirect: {uri: /}}, {name: two, route: [{destination: {host: a}}]}]}",
)
_SPECS = specs(st.just({"host": "rates"}))
_TARGETS = (
    {"workloads": {"labels": {"app": "a"}}},
    {"gateway": "edge"},
    {"virtualService": {"name": "rules", "routes": ["one"]}},
    {"virtualService": {"name": "rules", "routes": ["two"]}},
)


def _complaint(view: View) -> str:
    parts = offline(view)
    message = Bootstrap()
    message.static_resources.clusters.extend(parts.clusters)
    message.static_resources.listeners.extend(parts.listeners)
    return Validator().ask(message.SerializeToString()).complaint


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(specs=st.lists(_SPECS, min_size=len(_TARGETS), max_size=len(_TARGETS)))
def test_envoy_takes_every_limit_that_is_valid(specs: list[dict[str, Any]]) -> None:
    """The checks have nothing against these documents, and neither has `envoy --mode validate` against what they become."""
    texts = [_REST]
    for number, (target, spec) in enumerate(zip(_TARGETS, specs, strict=True)):
        whole = {"target": target, **spec}
        report = Report(Origin("policies/a.yaml", 0))
        check_rate_limit(RateLimit.model_validate_json(json.dumps(whole)), report)
        assert not report.failed, report.findings
        texts.append(dump({"kind": "RateLimit", "metadata": {"name": f"limit-{number}"}, "spec": whole}))
    mesh = mesh_of(*texts)
    views = compile_mesh(mesh, declared(mesh), Prototypes.parse(house_templates())).views
    assert [_complaint(view) for view in views.values()] == ["", ""]
    for policy in mesh.rate_limits:
        limits = policy.spec.global_
        if limits is not None:
            assert list(service_configurations([policy])) == [limits.domain]
