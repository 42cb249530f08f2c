"""POST /v1/passes: run one pass and wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response

from reconciler.web.access.callers import Access, Role, require, require_one_of
from reconciler.web.errors import BusyError
from reconciler.web.messages import PassRequest, PassResult
from reconciler.web.replies import json_reply

_MOST_PASSES = 16
"""Passes that may be asked for at the same time: they run one after the other, so more would only wait."""

_MOST_PREVIEWS = 2
"""Of those, dry runs by who may not run passes: previews of pull requests leave the loop to those who operate it."""


class Passes(Protocol):
    """Runs one pass and waits for it."""

    def __call__(self, request: PassRequest, *, wanted: Callable[[], bool]) -> PassResult:
        """The pass's result; `wanted` says whether the client is still there.

        Raises:
            ReconcilerError: It could not be run; the client gets the error.
        """


def add(app: FastAPI, passes: Passes, access: Access) -> None:
    """Answer at /v1/passes.

    A dry run changes nothing, yet it is a pass: it reads Git and every proxy while others wait. So it is not for who may only read,
    and of those who may not do more only a few are let in at a time.
    """
    running = previews = 0
    limiter = CapacityLimiter(_MOST_PASSES)  # beside the threads that answer everything else

    @app.post("/v1/passes")
    async def run(wish: PassRequest, request: Request) -> Response:
        nonlocal running, previews
        if wish.dry_run:
            caller = require_one_of(access, request, Role.OPERATE, Role.PROPOSE)
        else:
            caller = require(access, request, Role.OPERATE)
        preview = Role.OPERATE not in caller.roles
        if running >= _MOST_PASSES or (preview and previews >= _MOST_PREVIEWS):
            raise BusyError(f"{running} passes are waiting already", hint="ask again when some of them have ended")
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await request.receive())["type"] != "http.disconnect":
                pass
            gone = True

        running += 1
        previews += preview
        watcher = asyncio.create_task(watch())
        try:
            result = await run_sync(lambda: passes(wish, wanted=lambda: not gone), limiter=limiter)
        finally:
            running -= 1
            previews -= preview
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        return json_reply(result.as_json())
