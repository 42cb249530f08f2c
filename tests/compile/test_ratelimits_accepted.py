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
from reconciler.policy.checks.ratelimit import STATUSES, check_rate_limit
from reconciler.policy.findings import Report
from reconciler.yamldoc import dump
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
_NAMES = st.sampled_from(["all", "users", "x-1", "a" * 63])
_HEADERS = st.sampled_from(["x-user", "X-Tier", "cookie", "x.y"])
_COUNTS = st.one_of(st.integers(1, 100), st.sampled_from([1, 2**32 - 1]))
_TEXTS = st.one_of(
    st.sampled_from(["/a", "a.b*", "ä", "(["]).map(lambda text: {"exact": text}),
    st.sampled_from(["/a", "x"]).map(lambda text: {"prefix": text}),
    st.sampled_from(["/a|/b", "[a-z]+", "(?i)x", ".*"]).map(lambda text: {"regex": text}),
)
_ANY_TEXTS: st.SearchStrategy[dict[str, str]] = st.one_of(_TEXTS, st.just({}))


def _fields(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


_MATCHES = _fields(
    path=_TEXTS,
    method=st.sampled_from([{"exact": "GET"}, {"regex": "P.*"}]),
    authority=_TEXTS,
    headers=st.dictionaries(_HEADERS, _ANY_TEXTS, max_size=2),
    withoutHeaders=st.dictionaries(_HEADERS, st.one_of(_ANY_TEXTS, st.just({"regex": "*"})), max_size=2),
    queryParams=st.dictionaries(st.sampled_from(["k", "a b"]), _ANY_TEXTS, max_size=2),
)
_BY = st.lists(
    st.sampled_from(
        [{"header": "X-User"}, {"header": ":authority"}, {"header": ":method"}, {"path": True}, {"queryParameter": "k"},
         {"remoteAddress": True}]
    ),
    unique_by=str,
    max_size=3,
)  # fmt: skip


def _limits(least: int, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    common = {"name": _NAMES, "requests": _COUNTS}
    optional: dict[str, st.SearchStrategy[Any]] = {"match": _MATCHES, "by": _BY}
    if "unit" in more:
        common["unit"] = more.pop("unit")
    one = st.fixed_dictionaries(common, optional=optional | more)
    return st.lists(one, min_size=least, max_size=3, unique_by=lambda item: str(item["name"]))


_LOCAL = _limits(1, per=st.sampled_from(["50ms", "1s", "1m", "24h"]), burst=_COUNTS)
_GLOBAL = st.fixed_dictionaries(
    {
        "service": st.just({"host": "rates"}),
        "domain": st.sampled_from(["shop", "a b"]),
        "limits": _limits(1, unit=st.sampled_from(["SECOND", "MINUTE", "HOUR", "DAY"])),
    },
    optional={"timeout": st.sampled_from(["1ms", "10s"]), "failOpen": st.booleans()},
)
_RESPONSES = _fields(
    status=st.sampled_from(sorted(STATUSES)),
    headers=st.dictionaries(_HEADERS, st.sampled_from(["", "yes", "%REQ(x-user)%", "100%%"]), max_size=2),
    rateLimitHeaders=st.booleans(),
)
_SPECS = st.one_of(
    st.fixed_dictionaries({"local": _LOCAL}, optional={"global": _GLOBAL, "response": _RESPONSES}),
    st.fixed_dictionaries({"global": _GLOBAL}, optional={"response": _RESPONSES}),
)
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
