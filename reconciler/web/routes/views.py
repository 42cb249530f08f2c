"""What the page shows beside status and services: rollouts, the timeline, commits, the plan, live traffic. All JSON, all to be read only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Query, Request, Response

from reconciler.web.access.callers import Access, Role, require
from reconciler.web.replies import READING, json_reply

_PAGE, _LONGEST_PAGE = 30, 100
_NAME = 300

Document = Mapping[str, Any]


class Views(Protocol):
    """What is shown, as documents of JSON's values, each with its `schema_version`. Called on threads of the server's.

    Each raises a `ReconcilerError` for what can't be said, which the client gets.
    """

    def rollouts(self) -> Document:
        """All rollouts, a row each."""

    def rollout(self, namespace: str, name: str) -> Document:
        """One rollout, with its steps, evidence, commits and its curve."""

    def timeline(self, *, before: str, limit: int) -> Document:
        """A page of what happened on both branches, newest first; `next` names the following one."""

    def commit(self, commit: str) -> Document:
        """One commit of either branch, and what it changed."""

    def plan(self) -> Document:
        """What the newest pass over the whole fleet found to do, and what of that waits, and for what."""

    def traffic(self) -> Document:
        """Who calls whom, with the split as it is meant and as it is measured."""


def add(app: FastAPI, views: Views, access: Access) -> None:
    """Answer at /v1/rollouts, /v1/timeline, /v1/commits, /v1/plan and /v1/traffic."""

    @app.api_route("/v1/rollouts", methods=READING)
    def rollouts(request: Request) -> Response:
        require(access, request, Role.READ)
        return json_reply(views.rollouts())

    @app.api_route("/v1/rollouts/{namespace}/{name}", methods=READING)
    def rollout(request: Request, namespace: str, name: str) -> Response:
        require(access, request, Role.READ)
        return json_reply(views.rollout(namespace[:_NAME], name[:_NAME]))

    @app.api_route("/v1/timeline", methods=READING)
    def timeline(
        request: Request,
        before: Annotated[str, Query(max_length=100)] = "",
        limit: Annotated[int, Query(ge=1, le=_LONGEST_PAGE)] = _PAGE,
    ) -> Response:
        require(access, request, Role.READ)
        return json_reply(views.timeline(before=before, limit=limit))

    @app.api_route("/v1/commits/{commit}", methods=READING)
    def commit(request: Request, commit: str) -> Response:
        require(access, request, Role.READ)
        return json_reply(views.commit(commit[:_NAME]))

    @app.api_route("/v1/plan", methods=READING)
    def plan(request: Request) -> Response:
        require(access, request, Role.READ)
        return json_reply(views.plan())

    @app.api_route("/v1/traffic", methods=READING)
    def traffic(request: Request) -> Response:
        require(access, request, Role.READ)
        return json_reply(views.traffic())
