"""GET /v1/status and /v1/services: what the daemon knows, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response

from reconciler.web.access.callers import Access, Role, require
from reconciler.web.replies import READING, json_reply


class Knowledge(Protocol):
    """What the daemon knows of the fleet. Called on threads of the server's; has to be quick."""

    def status(self) -> Mapping[str, Any]:
        """The status document, with its `schema_version`. Values are JSON's."""

    def services(self) -> Mapping[str, Any]:
        """The document of services, likewise.

        Raises:
            ReconcilerError: They are not known yet; the client gets the error.
        """


def add(app: FastAPI, knowledge: Knowledge, access: Access) -> None:
    """Answer at /v1/status and /v1/services."""

    @app.api_route("/v1/status", methods=READING)
    def status(request: Request) -> Response:
        require(access, request, Role.READ)
        return json_reply(knowledge.status())

    @app.api_route("/v1/services", methods=READING)
    def services(request: Request) -> Response:
        require(access, request, Role.READ)
        return json_reply(knowledge.services())
