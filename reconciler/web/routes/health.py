"""GET /healthz and /readyz: whether the daemon gets on with its work, and whether it can answer for the fleet. Anybody may ask."""

from __future__ import annotations

from typing import Protocol

from fastapi import FastAPI, Response

from reconciler.web.errors import NotReadyError, UnhealthyError
from reconciler.web.replies import READING, json_reply


class Wellbeing(Protocol):
    """What the daemon has to say of itself. Called on threads of the server's; has to be quick."""

    def health(self) -> str:
        """Why it does not get on with its work; "" if it does."""

    def readiness(self) -> str:
        """Why it can't answer for the fleet; "" if it can."""


def add(app: FastAPI, wellbeing: Wellbeing) -> None:
    """Answer at /healthz and /readyz."""

    @app.api_route("/healthz", methods=READING, include_in_schema=False)
    def health() -> Response:
        reason = wellbeing.health()
        if reason:
            raise UnhealthyError(reason, hint="see the daemon's log")
        return json_reply({"schema_version": 1, "healthy": True})

    @app.api_route("/readyz", methods=READING, include_in_schema=False)
    def readiness() -> Response:
        reason = wellbeing.readiness()
        if reason:
            raise NotReadyError(reason, hint="ask again in a moment")
        return json_reply({"schema_version": 1, "ready": True})
