"""The collector that `Mesh.telemetry` names has to be there, and has to speak what is sent to it."""

from __future__ import annotations

import pytest

from reconciler.errors import Severity
from reconciler.policy import load
from tests.policy.memory import MemoryTree
from tests.policy.rules.documents import doc

_COLLECTOR = doc(
    "ServiceEntry",
    "spec:\n  hosts: [otel.default.svc.cluster.local]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"
    "  ports: [{number: 4317, name: grpc, protocol: GRPC}, {number: 4318, name: http, protocol: HTTP}]\n"
    "  endpoints: [{address: 10.0.0.9}]\n",
)


def found(collector: str, *more: str) -> list[tuple[str, Severity]]:
    """What is said of a mesh with this collector."""
    mesh = doc("Mesh", f"spec: {{telemetry: {{tracing: {{openTelemetry: {{{collector}}}}}}}}}\n")
    files = {"policies/mesh.yaml": mesh, "policies/otel.yaml": _COLLECTOR}
    files |= {f"policies/{number}.yaml": text for number, text in enumerate(more)}
    return [(item.code, item.severity) for item in load(MemoryTree(files)).diagnostics]


@pytest.mark.parametrize(
    "collector",
    [
        "service: otel, port: 4317",
        "service: otel.default.svc.cluster.local, port: 4318, http: {}",
        "service: otel, port: 4317, http: {path: /x}",
    ],
)
def test_a_collector_is_a_service_of_the_mesh(collector: str) -> None:
    """A short name is of the namespace `default`; spans go by gRPC, or by HTTP, for which HTTP/2 will do."""
    assert found(collector) == []


@pytest.mark.parametrize(
    ("collector", "code"),
    [
        ("service: hotel, port: 4317", "ref-host"),
        ("service: otel, port: 4319", "ref-port"),
        ("service: otel, port: 4318", "ref-port"),
    ],
)
def test_a_collector_that_gets_nothing_is_an_error(collector: str, code: str) -> None:
    """One that is not there, has no such port, or speaks something else."""
    assert found(collector) == [(code, Severity.ERROR)]


def test_a_registry_may_list_the_collector() -> None:
    """Then it is a warning until it does."""
    mesh = doc(
        "Mesh",
        "spec: {discovery: [{name: c, consul: {}}], "
        "telemetry: {tracing: {openTelemetry: {service: otel.service.consul, port: 4317}}}}\n",
    )
    loaded = load(MemoryTree({"policies/mesh.yaml": mesh}))
    assert [(item.code, item.severity) for item in loaded.diagnostics] == [("ref-host", Severity.WARNING)]


def test_metrics_by_tls_need_a_certificate() -> None:
    """As for an https admin address: no bootstrap can be rendered without."""
    proxy = doc(
        "Proxy",
        "spec: {labels: {a: b}, admin: 'http://127.0.0.1:1', push: {ads: {}}, metrics: {port: 1, mutualTls: true}}\n",
    )
    assert "ref-certificates" in [code for code, _ in found("service: otel, port: 4317", proxy)]
