"""GET /v1/receipts: what was live where, proven how, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from reconciler.web.access.callers import Access, Role, require
from reconciler.web.replies import READING, json_reply

PATH = "/v1/receipts"


class ReceiptsQuery(BaseModel):
    """Which receipts.

    Attributes:
        before: `next` of the page before; the newest if absent.
        limit: Receipts of one answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: str = Field("", pattern=r"^([0-9a-f]{40})?$")
    limit: int = Field(20, ge=1, le=100)


class Receipts(Protocol):
    """Reads receipts. Called on threads of the server's."""

    def __call__(self, *, before: str, limit: int) -> Mapping[str, Any]:
        """A page, as a document of JSON's values.

        Raises:
            ReconcilerError: There is no such commit, or Git can't be read.
        """


def add(app: FastAPI, receipts: Receipts, access: Access) -> None:
    """Answer at /v1/receipts."""

    @app.api_route(PATH, methods=READING)
    def page(request: Request, query: Annotated[ReceiptsQuery, Query()]) -> Response:
        require(access, request, Role.READ)
        return json_reply(receipts(before=query.before, limit=query.limit))
