"""GET /v1/openapi.json: the API as a document for programs, with what this address offers of it."""

from __future__ import annotations

import json

from fastapi import FastAPI, Request, Response

from reconciler.web.access.callers import Access, Role, require
from reconciler.web.openapi import described
from reconciler.web.replies import READING

PATH = "/v1/openapi.json"


def add(app: FastAPI, access: Access) -> None:
    """Answer at /v1/openapi.json; comes after all other routes."""

    @app.api_route(PATH, methods=READING)
    def document(request: Request) -> Response:
        require(access, request, Role.READ)
        return Response(text, media_type="application/json")

    text = json.dumps(described({str(getattr(route, "path", "")) for route in app.routes}), indent=1)
