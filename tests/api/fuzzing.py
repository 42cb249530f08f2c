"""Requests that are made from an OpenAPI document, and what every answer to them has to be."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)


def tried(operation: Any, token: str, *, examples: int, derandomize: bool) -> None:
    """Ask an operation of an OpenAPI document for whatever fits it, and for what does not.

    Args:
        operation: As schemathesis has it, with the address of a server.
        token: Of the caller.
        examples: Requests.
        derandomize: Send the same ones each time.

    Raises:
        AssertionError: An answer is a fault, or none that the document describes.
    """
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

    @settings(
        max_examples=examples, derandomize=derandomize, deadline=None, database=None, suppress_health_check=quiet,
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @_given(operation)  # type: ignore[untyped-decorator]
    def ask(case: Any) -> None:
        reply = case.call(headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert reply.status_code < 500 or reply.status_code == 503, (case.as_curl_command(), reply.text)
        case.validate_response(
            reply, checks=(status_code_conformance, content_type_conformance, response_schema_conformance)
        )

    ask()


def _given(operation: Any) -> Any:
    positive = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    try:
        negative = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    except Exception:  # noqa: BLE001 -- an operation without anything to get wrong
        return given(case=positive)
    return given(case=st.one_of(positive, negative))
