"""What documents say about gRPC applications that are their own proxies: clients of the mesh, and never gateways."""

from __future__ import annotations

import pytest

from reconciler.policy import load
from tests.policy.memory import BASE, MemoryTree
from tests.policy.rules.documents import doc
from tests.policy.rules.references import both, named

_GRPC = "push: {ads: {client: grpc}}"
_GATEWAY = named(
    doc(
        "Gateway",
        "spec: {selector: {role: app}, servers: [{port: {number: 81, name: x, protocol: HTTP}, hosts: [x.com]}]}\n",
    ),
    "own",
)
_SPLIT = doc("VirtualService", "spec: {hosts: [a], http: [{route: [{destination: {host: a, subset: v1}}]}]}\n")
_OWN_RULE = named(doc("DestinationRule", "spec: {host: a.default.svc.cluster.local}\n"), "own", "shop")


def _application(spec: str, namespace: str = "default") -> str:
    return named(doc("Proxy", f"spec: {{{spec}{_GRPC}}}\n"), "app", namespace)


def _codes(text: str) -> list[str]:
    files = {"policies/base.yaml": BASE, "policies/case.yaml": text}
    return [item.code for item in load(MemoryTree(files)).diagnostics]


@pytest.mark.parametrize("spec", ["", "workload: a-v1, ", "labels: {app: caller}, "])
def test_an_application_may_be_a_client_alone(spec: str) -> None:
    """It needs neither a workload nor labels, and no Gateway that selects it."""
    assert _codes(_application(spec)) == []


def test_its_workload_has_to_be_there() -> None:
    """As for a sidecar."""
    assert _codes(_application("workload: nobody, ")) == ["ref-workload"]


def test_an_application_opens_no_gateway() -> None:
    """A Gateway that selects nothing else opens its ports nowhere, and it is said."""
    assert _codes(both(_GATEWAY, _application("labels: {role: app}, "))) == ["ref-selector"]


def test_an_application_is_a_client_of_the_mesh() -> None:
    """Its namespace's own DestinationRule takes the subsets from its calls, as it does for a sidecar."""
    assert _codes(both(_SPLIT, _OWN_RULE)) == []
    assert _codes(both(_SPLIT, _OWN_RULE, _application("", "shop"))) == ["ref-subset"]
