"""Faults of `Mesh.telemetry` and `Proxy.metrics`."""

from __future__ import annotations

from tests.policy.rules.documents import doc


def telemetry(text: str) -> str:
    """A mesh that says this of telemetry."""
    return doc("Mesh", f"spec: {{telemetry: {{{text}}}}}\n")


def tracing(text: str) -> str:
    """A mesh with these fields besides the collector's."""
    return telemetry(f"tracing: {{openTelemetry: {{service: secure, port: 443, http: {{}}}}, {text}}}")


def proxy(text: str) -> str:
    """A proxy with these metrics, pushed to in this way."""
    return doc("Proxy", f"spec: {{labels: {{a: b}}, admin: 'http://127.0.0.1:1', {text}}}\n")


CASES: list[tuple[str, str]] = [
    ("address", telemetry("metrics: {port: 15090, address: ^localhost}")),
    ("value", telemetry("metrics: {port: ^0}")),
    ("missing-field", telemetry("^metrics: {}")),
    ("value", telemetry("accessLog: {minStatus: ^600}")),
    ("value", telemetry("accessLog: {percent: ^101}")),
    ("value", telemetry("accessLog: {file: ^log.json}")),
    ("no-effect", telemetry("accessLog: {^disabled: true, minStatus: 400}")),
    ("missing-field", telemetry("^tracing: {}")),
    ("host", telemetry("tracing: {openTelemetry: {service: ^'*.example.com', port: 4317}}")),
    ("value", telemetry("tracing: {openTelemetry: {service: otel, port: 4318, http: {path: ^'v1/traces?x'}}}")),
    ("value", tracing("randomSamplingPercentage: ^200")),
    ("one-of", tracing("customTags: {^a: {}}")),
    ("one-of", tracing("customTags: {^a: {literal: {value: b}, header: {name: c}}}")),
    ("header-name", tracing("customTags: {a: {header: {name: ^'b c'}}}")),
    ("name", tracing("customTags: {^'': {literal: {value: b}}}")),
    ("address", proxy("push: {ads: {}}, metrics: {port: 1, address: ^10.0.0.256}")),
    ("no-effect", doc("Proxy", "spec: {push: {ads: {client: grpc}}, ^metrics: {port: 1}}\n")),
]
