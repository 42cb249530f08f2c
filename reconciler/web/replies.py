"""How routes answer: JSON, with status codes that follow from what went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from reconciler.errors import Diagnostic, ReconcilerError
from reconciler.web.errors import MethodError, RequestError, UnknownPathError, document, fault, headers_of, status_of

READING = ["GET", "HEAD"]
_NOT_FOUND = 404
_TAKEN = "GET /v1/openapi.json describes what is taken here"
_METHOD = 405


def json_reply(content: Mapping[str, Any], *, status: int = 200) -> Response:
    """A document."""
    return Response(json.dumps(content), status_code=status, media_type="application/json")


def error_reply(error: ReconcilerError) -> Response:
    """What went wrong."""
    return Response(
        document(error.diagnostics),
        status_code=status_of(error),
        headers=headers_of(error),
        media_type="application/json",
    )


async def refused(_request: Request, error: Exception) -> Response:
    """An error of the product's own."""
    if not isinstance(error, ReconcilerError):
        raise error
    return error_reply(error)


async def invalid(_request: Request, error: Exception) -> Response:
    """What pydantic found, in our words for where it is; its own words name the rule."""
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    places = [(".".join(str(part) for part in item["loc"][1:]) or "the body", str(item["msg"])) for item in found]
    return error_reply(
        RequestError(
            diagnostics=[
                Diagnostic(
                    code=RequestError.default_code,
                    message=f"{place[:200]}: {words[:200]}",
                    hint=_TAKEN,
                )
                for place, words in places[:20]
            ],
            message="the request can't be read",
        )
    )


async def no_route(request: Request, error: Exception) -> Response:
    """Nothing is served there, or not by this method."""
    status = error.status_code if isinstance(error, HTTPException) else _NOT_FOUND
    if status == _METHOD:
        return error_reply(MethodError(f"{request.method} is not offered here"))
    if status == _NOT_FOUND:
        return error_reply(UnknownPathError("nothing is served here", hint="GET /v1/openapi.json says what is"))
    return error_reply(RequestError("the request can't be read", hint=_TAKEN))


async def broken(_request: Request, error: Exception) -> Response:
    """A fault of our own: the framework raises it again, and the guard logs it."""
    return error_reply(fault(error))
