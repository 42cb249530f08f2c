"""GET /v1/events: server-sent events that say what to read again. Anybody who may read may watch."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.responses import StreamingResponse

from reconciler.web.access.callers import Access, Role, require, still
from reconciler.web.access.limits import stranger
from reconciler.web.live import Notices

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}  # nginx would keep events until it has a page of them


def add(app: FastAPI, notices: Notices, access: Access) -> None:
    """Answer at /v1/events."""

    @app.get("/v1/events")
    async def events(request: Request) -> Response:
        require(access, request, Role.READ)
        peer = stranger(request.client.host if request.client is not None else "")
        watched = notices.watch(peer, allowed=lambda: still(access, request, Role.READ))
        return StreamingResponse(watched, media_type="text/event-stream", headers=_HEADERS)
