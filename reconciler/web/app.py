"""The routes: what is answered at which path. Knows no daemon: what it shows and starts is handed in.

GET  /healthz      the process is alive and its loop gets on
GET  /readyz       the first pass has ended, and the daemon is not stopping
GET  /v1/status    what the daemon knows, as JSON
GET  /v1/services  the services that there are, their instances, and who may call them, as JSON
POST /v1/passes    run one pass and wait for it; only where `passes` is handed in
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from reconciler.errors import Diagnostic, ReconcilerError
from reconciler.web.errors import (
    BusyError,
    MethodError,
    NotReadyError,
    RequestError,
    UnhealthyError,
    UnknownPathError,
    document,
    fault,
    status_of,
)
from reconciler.web.guard import Application, Guard
from reconciler.web.messages import PassRequest, PassResult

_MAX_BODY = 64 * 1024
_PATIENCE = 10.0
_MOST_PASSES = 16
"""Passes that may be asked for at the same time: they run one after the other, so more would only wait."""
_HTTP_NOT_FOUND = 404
_HTTP_METHOD = 405


class Knowledge(Protocol):
    """What the daemon has to say of itself. Called on threads of the server's; has to be quick."""

    def health(self) -> str:
        """Why it does not get on with its work; "" if it does."""

    def readiness(self) -> str:
        """Why it can't answer for the fleet; "" if it can."""

    def status(self) -> Mapping[str, Any]:
        """The status document, with its `schema_version`. Values are JSON's."""

    def services(self) -> Mapping[str, Any]:
        """The document of services, likewise.

        Raises:
            ReconcilerError: They are not known yet; the client gets the error.
        """


class Passes(Protocol):
    """Runs one pass and waits for it."""

    def __call__(self, request: PassRequest, *, wanted: Callable[[], bool]) -> PassResult:
        """The pass's result; `wanted` says whether the client is still there.

        Raises:
            ReconcilerError: It could not be run; the client gets the error.
        """


def application(
    knowledge: Knowledge,
    *,
    passes: Passes | None = None,
    logger: logging.Logger,
    max_body: int = _MAX_BODY,
    patience: float = _PATIENCE,
) -> Application:
    """The ASGI application.

    Args:
        knowledge: What is shown.
        passes: What runs passes; without it nothing can be changed by HTTP.
        logger: Told of faults of our own.
        max_body: Bytes that a request's body may have.
        patience: Seconds that it may take to arrive.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    _show(app, knowledge)
    if passes is not None:
        _run(app, passes)
    app.add_exception_handler(ReconcilerError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _fault)
    return Guard(app, max_body=max_body, patience=patience, logger=logger)


def _show(app: FastAPI, knowledge: Knowledge) -> None:
    both = ["GET", "HEAD"]

    @app.api_route("/healthz", methods=both)
    def health() -> Response:
        reason = knowledge.health()
        if reason:
            raise UnhealthyError(reason, hint="see the daemon's log")
        return _json({"schema_version": 1, "healthy": True})

    @app.api_route("/readyz", methods=both)
    def readiness() -> Response:
        reason = knowledge.readiness()
        if reason:
            raise NotReadyError(reason, hint="ask again in a moment")
        return _json({"schema_version": 1, "ready": True})

    @app.api_route("/v1/status", methods=both)
    def status() -> Response:
        return _json(knowledge.status())

    @app.api_route("/v1/services", methods=both)
    def services() -> Response:
        return _json(knowledge.services())


def _run(app: FastAPI, passes: Passes) -> None:
    running = 0
    limiter = CapacityLimiter(_MOST_PASSES)  # beside the threads that answer everything else

    @app.post("/v1/passes")
    async def run(wish: PassRequest, request: Request) -> Response:
        nonlocal running
        if running >= _MOST_PASSES:
            raise BusyError(f"{running} passes are waiting already", hint="ask again when some of them have ended")
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await request.receive())["type"] != "http.disconnect":
                pass
            gone = True

        running += 1
        watcher = asyncio.create_task(watch())
        try:
            result = await run_sync(lambda: passes(wish, wanted=lambda: not gone), limiter=limiter)
        finally:
            running -= 1
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        return _json(result.as_json())


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ReconcilerError):
        raise error
    return _error(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    """What pydantic found, in our words for where it is; its own words name the rule."""
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    places = [(".".join(str(part) for part in item["loc"][1:]) or "the body", str(item["msg"])) for item in found]
    return _error(
        RequestError(
            diagnostics=[
                Diagnostic(
                    code=RequestError.default_code,
                    message=f"{place[:200]}: {words[:200]}",
                    hint="send the JSON object that the documentation of the control socket describes",
                )
                for place, words in places[:20]
            ],
            message="the request can't be read",
        )
    )


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else _HTTP_NOT_FOUND
    if status == _HTTP_METHOD:
        return _error(MethodError(f"{request.method} is not offered here"))
    if status == _HTTP_NOT_FOUND:
        return _error(
            UnknownPathError("nothing is served here", hint="there are /healthz, /readyz, /v1/status and /v1/services")
        )
    return _error(RequestError("the request can't be read"))


async def _fault(_request: Request, error: Exception) -> Response:
    return _error(fault(error))  # the framework raises it again, and the guard logs it


def _error(error: ReconcilerError) -> Response:
    return Response(document(error.diagnostics), status_code=status_of(error), media_type="application/json")


def _json(content: Mapping[str, Any]) -> Response:
    return Response(json.dumps(content), media_type="application/json")
