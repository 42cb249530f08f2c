"""GET /metrics: what the daemon says of itself, for Prometheus."""

from __future__ import annotations

from typing import Protocol

from fastapi import FastAPI, Request, Response

from reconciler.web.access.callers import Access, Role, require
from reconciler.web.replies import READING


class Metrics(Protocol):
    """What is counted and measured. Called on threads of the server's; has to be quick."""

    def exposition(self) -> tuple[bytes, str]:
        """All metrics as text, and its media type."""

    def requested(self, route: str, method: str, code: int) -> None:
        """A request was answered; `route` is the path as it is declared, or `other`."""


def add(app: FastAPI, metrics: Metrics, access: Access) -> None:
    """Answer at /metrics."""

    @app.api_route("/metrics", methods=READING, include_in_schema=False)
    def show(request: Request) -> Response:
        require(access, request, Role.READ)
        text, media = metrics.exposition()
        return Response(text, headers={"content-type": media})
