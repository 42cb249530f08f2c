"""Whatever validation lets through, a real Envoy takes, with every rule's own answer in it."""

from __future__ import annotations

from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.core.v3.address_pb2 import Address
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compile import Prototypes, compile_mesh
from reconciler.envoy.validation import Validator
from reconciler.model.protos import decode
from reconciler.model.resource import ResourceType
from reconciler.model.services import declared
from reconciler.yamldoc import dump
from tests.compile.httprules import rules
from tests.compile.meshes import gateway_proxy, house_templates, mesh_of, service


def _bootstrap(configurations: list[Any], prototypes: Prototypes) -> bytes:
    """Route configurations inside listeners, of an Envoy that has nothing else."""
    message = Bootstrap()
    for number, configuration in enumerate(configurations):
        manager = HttpConnectionManager()
        manager.CopyFrom(prototypes.http_connection_manager)
        manager.stat_prefix = "x"
        manager.route_config.CopyFrom(configuration)
        listener = Listener(name=str(number), address=Address())
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = number + 1
        network_filter = listener.filter_chains.add().filters.add(name="http")
        network_filter.typed_config.Pack(manager)
        message.static_resources.listeners.append(listener)
    body: bytes = message.SerializeToString()
    return body


_RULE = rules(
    destinations=st.sampled_from([{"host": "a"}, {"host": "a", "subset": "v1"}, {"host": "b"}, {"host": "gone.com"}]),
    gateways=st.sampled_from([["mesh"], ["edge"]]),
    ports=(80, 9080),
    delegates=st.sampled_from([{"name": "delegate"}, {"name": "gone"}]),
)
_REST = """
kind: DestinationRule
metadata: {name: a}
spec: {host: a, subsets: [{name: v1}], trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s}}}}}
---
kind: Gateway
metadata: {name: edge}
spec: {servers: [{port: {number: 81, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
kind: VirtualService
metadata: {name: delegate}
spec: {http: [{name: leaf, match: [{headers: {x-leaf: {exact: "1"}}}], route: [{destination: {host: b}}]}]}
"""


def _virtual_service(number: int, rule: dict[str, Any]) -> str:
    spec = {"hosts": [f"h{number}.com"], "gateways": ["edge"], "http": [rule]}
    document = {"kind": "VirtualService", "metadata": {"name": f"v{number}"}, "spec": spec}
    return dump(document)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(found=st.lists(_RULE, min_size=4, max_size=10))
def test_envoy_takes_every_route_that_is_compiled(found: list[dict[str, Any]]) -> None:
    """No valid rule is untranslatable, and `envoy --mode validate` says nothing against what they become together."""
    prototypes = Prototypes.parse(house_templates())
    documents = [_virtual_service(number, rule) for number, rule in enumerate(found)]
    mesh = mesh_of(_REST, service("a"), service("b"), gateway_proxy(), *documents)
    compiled = compile_mesh(mesh, declared(mesh), prototypes)
    assert "route-untranslatable" not in {item.code for item in compiled.findings}
    (view,) = compiled.views.values()
    verdict = Validator().ask(_bootstrap([decode(item) for item in view.of_type(ResourceType.ROUTE)], prototypes))
    assert (verdict.complaint, verdict.warnings) == ("", ())
