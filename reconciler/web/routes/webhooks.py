"""POST /v1/webhooks/{kind}: a forge says that the policy branch moved. Who it is is proven by the delivery itself, not by a role."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response

from reconciler.web.replies import json_reply
from reconciler.web.webhooks import Delivery, Receiver

PATH = "/v1/webhooks/"
_ACCEPTED = 202


def add(app: FastAPI, receiver: Receiver) -> None:
    """Answer at one path for each kind of sender that is taken."""
    for kind in receiver.limits:
        app.add_api_route(PATH + kind, _taking(kind, receiver), methods=["POST"], include_in_schema=False)


def _taking(kind: str, receiver: Receiver) -> Any:
    async def take(request: Request) -> Response:
        headers = {name: request.headers.getlist(name) for name in request.headers}
        delivery = Delivery(headers=headers, body=await request.body())
        result = await run_sync(receiver.receive, kind, delivery)
        return json_reply({"schema_version": 1, "result": str(result)}, status=_ACCEPTED)

    return take
