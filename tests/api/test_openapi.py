from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI

from reconciler.web import Offer, Role
from reconciler.web.app import routed
from reconciler.web.openapi import OPERATIONS, described
from tests.api.fuzzing import tried
from tests.api.premises import Premises, premises
from tests.web.world import World

PARTS = ("desk", "commands", "receipts", "passes", "views", "notices", "targets")
NOT_FOR_CLIENTS = {"/healthz", "/readyz", "/metrics"}
"""Offered to machines that watch, and not described."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Premises]:
    with premises(tmp_path_factory.mktemp("premises")) as found:
        yield found


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    """By path and method, whatever is offered; a route without a line here would have no documentation."""
    served = {
        (path, method.lower())
        for path, methods in _routes(everything())
        for method in methods - {"HEAD"}
        if path.startswith("/v1/") and not path.startswith("/v1/webhooks")
    }
    assert served == {(operation.path, operation.method) for operation in OPERATIONS}


def everything() -> Offer:
    from reconciler.clock import SystemClock
    from reconciler.web import Door

    return Offer(knowledge=World(), access=Door(SystemClock()), **{name: _Anything() for name in PARTS})  # type: ignore[arg-type]


class _Anything:
    """Stands for a part that nobody asks."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise AssertionError


def _routes(offer: Offer) -> Iterator[tuple[str, set[str]]]:
    app: FastAPI = routed(offer)
    for route in app.routes:
        yield str(getattr(route, "path", "")), set(getattr(route, "methods", None) or ())


def test_the_document_says_only_what_is_offered(made: Premises) -> None:
    """At each address the paths that are served there."""
    served = made.ask("GET", "/v1/openapi.json", token=made.token(Role.READ)).json
    assert "/v1/policies" in served["paths"]
    assert "/v1/traffic" not in served["paths"]
    assert served == json.loads(json.dumps(described(served["paths"])))


def test_every_reference_and_every_parameter_of_the_document_is_explained() -> None:
    """No dangling name, no operation without words, no id twice."""
    document = described()
    text = json.dumps(document)
    for name in {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert len({item["operationId"] for item in operations}) == len(operations)
    assert all(item["summary"] and (item["description"] or item["security"][0] == {}) for item in operations)
    assert [p for item in operations for p in item["parameters"] if not p["description"]] == []


def _schema(made: Premises) -> Any:
    document = made.ask("GET", "/v1/openapi.json", token=made.token(Role.READ)).json
    del document["paths"]["/v1/status"], document["paths"]["/v1/services"]  # the tests' own
    schema = schemathesis.openapi.from_dict(document)
    schema.config.base_url = f"http://{made.house.address}"
    return schema


@pytest.mark.parametrize("roles", [tuple(Role)], ids=["all roles"])
def test_no_request_ends_in_a_fault(made: Premises, roles: tuple[Role, ...], request: pytest.FixtureRequest) -> None:
    """Whatever is asked, by our own document: never a 500, and every answer is one that the document describes."""
    full = request.config.getoption("--full")
    schema, token = _schema(made), made.token(*roles)
    for found in schema.get_all_operations():
        operation = found.ok()
        tried(operation, token, examples=400 if full else 12, derandomize=not full)
