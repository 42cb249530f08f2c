"""/v1/session: the page shows a token once and gets a cookie for it, sees who it is, and leaves."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from reconciler.clock import rfc3339
from reconciler.web.access.callers import Caller
from reconciler.web.access.door import Door, cookie_name
from reconciler.web.access.sessions import LASTS, Session
from reconciler.web.replies import json_reply

_LONGEST_TOKEN = 200
_PATH = "/v1/session"


class SignIn(BaseModel):
    """The body of `POST /v1/session`.

    Attributes:
        token: As `reconcile token create` has shown it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    token: str = Field(min_length=1, max_length=_LONGEST_TOKEN)


def add(app: FastAPI, door: Door) -> None:
    """Answer at /v1/session."""

    @app.post(_PATH)
    def sign_in(wish: SignIn, request: Request) -> Response:
        cookie, session, caller = door.sign_in(request, wish.token)
        reply = json_reply(_said(door, caller, session))
        reply.set_cookie(
            cookie_name(request),
            cookie,
            max_age=int(LASTS.total_seconds()),
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return reply

    @app.get(_PATH)
    def who(request: Request) -> Response:
        entry = door.entry(request)
        return json_reply(_said(door, entry.caller, entry.session))

    @app.delete(_PATH)
    def sign_out(request: Request) -> Response:
        door.sign_out(request)
        reply = Response(status_code=204)
        reply.delete_cookie(
            cookie_name(request), path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return reply


def _said(door: Door, caller: Caller, session: Session | None) -> dict[str, object]:
    return {
        "schema_version": 1,
        "name": caller.name,
        "email": caller.email,
        "roles": sorted(str(role) for role in caller.roles),
        "token": caller.token,
        "csrf": session.csrf if session is not None else "",
        "tokens": door.knows_tokens,
        "expires": rfc3339(session.expires) if session is not None else None,
    }
