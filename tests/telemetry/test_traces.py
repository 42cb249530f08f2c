"""Traces of real Envoys, at a collector that speaks OTLP."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.yamldoc import dump, load
from tests.compile.envoys import free_port
from tests.compile.meshes import house_templates
from tests.envoy.live import until
from tests.telemetry.collector import Collector, attributes, collecting
from tests.telemetry.lab import REVIEWS, Lab, serving

_MESH = """
kind: Mesh
metadata: {{name: mesh}}
spec:
  telemetry:
    accessLog: {{minStatus: 0}}
    tracing:
      openTelemetry: {{service: otel, port: {port}{http}}}
      randomSamplingPercentage: {sampling}
      customTags:
        tier: {{literal: {{value: gold}}}}
        tenant: {{header: {{name: x-tenant, defaultValue: nobody}}}}
---
kind: ServiceEntry
metadata: {{name: otel}}
spec:
  hosts: [otel.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 4317, name: grpc, protocol: GRPC}}, {{number: 4318, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{grpc: {grpc}, http: {plain}}}}}]
"""


@contextmanager
def traced(collector: Collector, *, sampling: float = 100, http: bool = False) -> Iterator[Lab]:
    """The mesh with this collector."""
    folder = Path(tempfile.mkdtemp(prefix="t"))
    how = {"port": 4318, "http": ", http: {path: /v1/traces}"} if http else {"port": 4317, "http": ""}
    mesh = _MESH.format(sampling=sampling, grpc=collector.grpc_port, plain=collector.http_port, **how)
    try:
        with serving(folder, mesh, templates={"bootstrap.yaml": _prompt()}) as lab:
            yield lab
    finally:
        shutil.rmtree(folder)


def _prompt() -> str:
    """The house's bootstrap of an Envoy that sends each span at once, and not every five seconds."""
    found: dict[str, Any] = load(house_templates()["bootstrap.yaml"].encode())[0]
    found["layered_runtime"]["layers"][0]["static_layer"]["tracing.opentelemetry.min_flush_spans"] = 1
    return dump(found)


def by_service(collector: Collector) -> dict[str, list[Any]]:
    """Spans by the service that they came from."""
    found: dict[str, list[Any]] = {}
    for name, span in collector.spans:
        found.setdefault(name, []).append(span)
    return found


@pytest.mark.parametrize("http", [pytest.param(False, id="grpc"), pytest.param(True, id="http")])
def test_a_trace_goes_through_every_proxy_on_the_way(*, http: bool) -> None:
    """One trace id at the caller's sidecar, the callee's and in both logs, each a child of the one before; a gateway begins its own.

    Names and services are Istio's, tags are what the Mesh says.
    """
    with collecting() as collector, traced(collector, http=http) as lab:
        assert lab.ask(**{"x-tenant": "acme"}) == 200
        until(lambda: set(by_service(collector)) == {"web.default", "reviews.default"})
        found = by_service(collector)
        (caller,), (callee,) = found["web.default"], found["reviews.default"]
        assert caller.trace_id == callee.trace_id
        assert callee.parent_span_id == caller.span_id
        assert caller.parent_span_id == b""
        assert caller.name == f"{REVIEWS}:{lab.ports['service']}/*"
        assert callee.name == f"reviews:{lab.ports['service']}/*"
        assert {(attributes(span)["tier"], attributes(span)["tenant"]) for span in (caller, callee)} == {
            ("gold", "acme")
        }
        assert collector.paths == (["/v1/traces"] * len(collector.paths) if http else [])
        until(lambda: bool(lab.log("web-1")) and bool(lab.log("reviews-v1")))
        traces = {line["trace_id"] for name in ("web-1", "reviews-v1") for line in lab.log(name)}
        assert traces == {caller.trace_id.hex()}
        assert lab.ask("gateway", REVIEWS) == 200
        until(lambda: "edge.default" in by_service(collector))
        assert by_service(collector)["edge.default"][0].trace_id != caller.trace_id


def test_callers_name_the_trace_and_may_decline() -> None:
    """What comes with a sampled `traceparent` is traced under its id; with one that is not sampled it is not traced."""
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with collecting() as collector, traced(collector) as lab:
        assert lab.ask(traceparent=f"00-{'1' * 32}-{parent}-00") == 200
        assert lab.ask(traceparent=f"00-{trace}-{parent}-01") == 200
        until(lambda: set(by_service(collector)) == {"web.default", "reviews.default"})
        assert {span.trace_id.hex() for _, span in collector.spans} == {trace}
        assert by_service(collector)["web.default"][0].parent_span_id.hex() == parent


def test_no_sampling_gives_no_spans() -> None:
    """None at all, whatever comes; the context is passed on all the same, so logs have trace ids."""
    with collecting() as collector, traced(collector, sampling=0) as lab:
        for _ in range(20):
            assert lab.ask() == 200
        assert lab.ask(traceparent=f"00-{'2' * 32}-b7ad6b7169203331-01") == 200
        until(lambda: len(lab.log("web-1")) == 21)
        assert collector.spans == []
        counts = lab.admin("web-1", "/stats?filter=tracing.(random|not_traceable|client)").splitlines()
        sampled = sum(int(line.rpartition(": ")[2]) for line in counts if "random_sampling" in line)
        assert (sampled, lab.log("web-1")[-1]["trace_id"]) == (0, "2" * 32)


def test_a_collector_that_is_down_hurts_nobody() -> None:
    """Requests are answered as without it; Envoy counts what it could not send."""
    gone = Collector()
    gone.grpc_port = gone.http_port = free_port()
    with traced(gone) as lab:
        assert [lab.ask() for _ in range(20)] == [200] * 20

        def failed() -> bool:
            stats = lab.admin("web-1", "/stats?usedonly&filter=outbound.4317..otel.*upstream_(cx_connect_fail|rq_503)$")
            return any(int(line.rpartition(": ")[2]) for line in stats.splitlines())

        until(failed)
