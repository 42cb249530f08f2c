"""GET /: the page, for people who would rather look. Files that never change while the daemon runs, and no data at all: anybody may have them.

What the page shows it reads from the API as its reader, so nothing here needs a role.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files

from fastapi import FastAPI, Request, Response

from reconciler.web.conditions import quoted, unchanged
from reconciler.web.replies import READING

_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, and asked for again each time: another version of the daemon has another page
}
_FRONT = "index.html"
_NOT_MODIFIED = 304


def add(app: FastAPI) -> None:
    """Answer at / and below /page/. The files are read once, here."""
    for name, content in sorted(_contents().items()):
        path = "/" if name == _FRONT else f"/page/{name}"
        _serve(app, path, content, _TYPES[_ending(name)])


def _contents() -> dict[str, bytes]:
    return {
        item.name: item.read_bytes()
        for item in files("reconciler.web").joinpath("page").iterdir()
        if item.is_file() and _ending(item.name) in _TYPES
    }


def _ending(name: str) -> str:
    return name[name.rfind(".") :]


def _serve(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    tag = hashlib.sha256(content).hexdigest()[:32]
    headers = _HEADERS | {"ETag": quoted(tag)}

    @app.api_route(path, methods=READING, include_in_schema=False, name=path)
    def file(request: Request) -> Response:
        if unchanged(request, tag):
            return Response(status_code=_NOT_MODIFIED, headers=headers)
        return Response(content, media_type=kind, headers=headers)
