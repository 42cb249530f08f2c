"""Which requests are logged, as listeners say it."""

from __future__ import annotations

from typing import Any

from reconciler.model.resource import ResourceType
from tests.compile.meshes import compiled, documents, gateway_proxy, manager, messages, only, service

_GATEWAY = """
kind: Gateway
metadata: {name: g}
spec: {selector: {istio: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""


def view(settings: str = "", **templates: str) -> Any:
    """The view of a gateway in a mesh with these settings."""
    mesh = f"kind: Mesh\nmetadata: {{name: m}}\nspec: {{telemetry: {{{settings}}}}}"
    return only(compiled(documents(service("a"), gateway_proxy(), _GATEWAY, mesh), **templates))


def log(settings: str = "", **templates: str) -> dict[str, Any]:
    """The access log of its listener."""
    (found,) = manager(view(settings, **templates), "0.0.0.0_80")["access_log"]
    return dict(found)


def test_without_a_word_the_template_counts() -> None:
    """As it is, whatever it is."""
    text = "name: own\ntyped_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog}\n"
    assert log(access_log=text)["name"] == "own"
    assert log()["filter"]["status_code_filter"]["comparison"]["value"]["default_value"] == 500
    assert log("accessLog: {}") == log()


def test_all_some_and_none() -> None:
    """By status, by share, by both; and nothing at all."""
    assert "filter" not in log("accessLog: {minStatus: 0}")
    status = log("accessLog: {minStatus: 400}")["filter"]["status_code_filter"]["comparison"]
    assert (status["op"], status["value"]["default_value"]) == ("GE", 400)
    sampled = log("accessLog: {minStatus: 0, percent: 0.5}")["filter"]["runtime_filter"]["percent_sampled"]
    assert sampled == {"numerator": 5000, "denominator": "MILLION"}
    assert len(log("accessLog: {percent: 10}")["filter"]["and_filter"]["filters"]) == 2
    assert "access_log" not in manager(view("accessLog: {disabled: true}"), "0.0.0.0_80")


def test_a_file_gets_the_same_lines() -> None:
    """The format is the template's."""
    there, here = log("accessLog: {file: /var/log/x.json}"), log()
    assert there["name"] == "envoy.access_loggers.file"
    assert there["typed_config"]["path"] == "/var/log/x.json"
    assert there["typed_config"]["log_format"] == here["typed_config"]["log_format"]


def test_what_is_told_is_a_matter_of_listeners() -> None:
    """A changed log or sampling changes no route, cluster or endpoint."""
    trace = "tracing: {openTelemetry: {service: a, port: 9080, http: {}}, randomSamplingPercentage: %d}"
    one, other = view(f"accessLog: {{}}, {trace % 1}"), view(f"accessLog: {{percent: 1}}, {trace % 2}")
    for type_ in set(ResourceType) - {ResourceType.LISTENER}:
        assert messages(one, type_) == messages(other, type_)
    assert messages(one, ResourceType.LISTENER) != messages(other, ResourceType.LISTENER)
