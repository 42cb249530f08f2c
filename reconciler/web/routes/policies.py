"""/v1/policies: listed, read, created, changed and deleted; every change is a commit by its author, or a proposal of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol
from urllib.parse import quote

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from reconciler.cycle.editing import Action, Done, Entry, Requester, Shown, Wish, yaml_of
from reconciler.model.key import Key
from reconciler.settings import Identity
from reconciler.web.access.callers import Access, Caller, Role, require, require_one_of
from reconciler.web.conditions import quoted, unchanged, wanted_tags
from reconciler.web.errors import ForbiddenError, NoPreconditionError
from reconciler.web.media import YAML_TYPE, Form, sent_form, wanted_form
from reconciler.web.replies import READING, json_reply
from reconciler.web.turns import Turns

PATH = "/v1/policies"
LARGEST = 256 * 1024
"""Bytes of one policy; Istio's largest published example has 20 KB."""

STEERING = frozenset({"Mesh", "Proxy", "AnalysisTemplate"})
"""Kinds that say which addresses the daemon calls and which files of its machine it reads: to write one takes `operate` too."""

_ONE = PATH + "/{kind}/{namespace}/{name}"
_MOST_WRITES = 16
_TEXT = 253


class PolicyDesk(Protocol):
    """Where policies are read and written. Called on threads of the server's; each method raises a `ReconcilerError`."""

    def entries(self) -> tuple[str, tuple[Entry, ...]]:
        """The commit, and all policies by kind, namespace and name."""

    def read(self, kind: str, key: Key) -> Shown:
        """One policy."""

    def write(self, wish: Wish) -> Done:
        """One change."""


class ListQuery(BaseModel):
    """What is listed.

    Attributes:
        kind: Only these, as `VirtualService`.
        namespace: Only in this namespace.
        name: Only of this name.
        limit: Policies of one answer.
        after: `next` of the answer before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field("", max_length=_TEXT)
    namespace: str = Field("", max_length=_TEXT)
    name: str = Field("", max_length=_TEXT)
    limit: int = Field(500, ge=1, le=1000)
    after: str = Field("", max_length=3 * _TEXT)


class DeleteQuery(BaseModel):
    """How a policy is deleted.

    Attributes:
        message: Words for the commit's message.
        allow: Codes of guards that are overridden, with commas; takes the role `operate`.
        propose: Write to a branch of its own, and open a pull request if the mesh names a forge.
        dry_run: Write nothing; say what would be written, and what it would come to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: str = Field("", max_length=4000)
    allow: str = Field("", max_length=1000)
    propose: bool = False
    dry_run: bool = False


class WriteQuery(DeleteQuery):
    """How a policy is created or changed.

    Attributes:
        file: Where a new policy goes, below `policies/`; `policies/NAMESPACE/KIND-NAME.yaml` if absent.
    """

    file: str = Field("", max_length=1000)


def add(app: FastAPI, desk: PolicyDesk, access: Access) -> None:
    """Answer at /v1/policies."""
    turns = Turns(_MOST_WRITES)

    @app.api_route(PATH, methods=READING)
    def listed(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
        require(access, request, Role.READ)
        commit, entries = desk.entries()
        return json_reply(_page(commit, entries, query))

    @app.api_route(_ONE, methods=READING)
    def read(request: Request, kind: str, namespace: str, name: str) -> Response:
        require(access, request, Role.READ)
        return _shown(request, desk.read(kind, Key(namespace, name)))

    @app.put(_ONE)
    async def write(
        request: Request, kind: str, namespace: str, name: str, query: Annotated[WriteQuery, Query()]
    ) -> Response:
        caller = _writer(access, request, query)
        text = _text(await request.body(), sent_form(request))
        wish = _wish(kind, Key(namespace, name), request, query, caller, text=text, file=query.file)
        return _done(await turns.take(_work(desk, wish)), wish)

    @app.delete(_ONE)
    async def delete(
        request: Request, kind: str, namespace: str, name: str, query: Annotated[DeleteQuery, Query()]
    ) -> Response:
        caller = _writer(access, request, query)
        wish = _wish(kind, Key(namespace, name), request, query, caller, text=None)
        if wish.expect is None:
            raise NoPreconditionError("to delete takes If-Match", hint="send the ETag that you have read as `If-Match`")
        return _done(await turns.take(_work(desk, wish)), wish)


def _writer(access: Access, request: Request, query: DeleteQuery) -> Caller:
    caller = require_one_of(access, request, Role.WRITE, Role.PROPOSE)
    if query.allow and Role.OPERATE not in caller.roles:
        raise ForbiddenError(
            "to override a guard takes the role operate", hint="leave `allow` out, or ask somebody who may"
        )
    return caller


def _wish(
    kind: str, key: Key, request: Request, query: DeleteQuery, caller: Caller, *, text: bytes | None, file: str = ""
) -> Wish:
    propose = query.propose or Role.WRITE not in caller.roles
    if kind in STEERING and not propose and not query.dry_run and Role.OPERATE not in caller.roles:
        raise ForbiddenError(
            f"{kind} says what the daemon calls and reads, so to write one takes the roles write and operate",
            hint="send it with `propose=true`, for somebody to merge",
        )
    return Wish(
        kind=kind,
        key=key,
        text=text,
        expect=wanted_tags(request),
        file=file,
        message=query.message,
        allow=frozenset(code.strip() for code in query.allow.split(",") if code.strip()),
        propose=propose,
        dry_run=query.dry_run,
        by=requester(caller),
    )


def requester(caller: Caller) -> Requester:
    """Whom a commit is by, and whose token asked for it."""
    if not caller.name:
        return Requester()
    return Requester(identity=Identity(name=caller.name, email=caller.email), token=caller.token or "local")


def _work(desk: PolicyDesk, wish: Wish) -> Callable[[], Done]:
    return lambda: desk.write(wish)


def _text(body: bytes, form: Form) -> bytes:
    return yaml_of(body) if form is Form.JSON else body


def _page(commit: str, entries: tuple[Entry, ...], query: ListQuery) -> Mapping[str, Any]:
    after = tuple(query.after.split("/")) if query.after else ()
    wanted = [
        entry
        for entry in entries
        if query.kind in {"", entry.kind}
        and query.namespace in {"", entry.key.namespace}
        and query.name in {"", entry.key.name}
        and entry.order > after
    ]
    page = wanted[: query.limit]
    return {
        "schema_version": 1,
        "commit": commit,
        "policies": [
            {
                "kind": entry.kind,
                "namespace": entry.key.namespace,
                "name": entry.key.name,
                "api_version": entry.api_version,
                "file": _printable(entry.file),
                "document": entry.document,
            }
            for entry in page
        ],
        "next": _cursor(page[-1]) if len(page) < len(wanted) else None,
    }


def _cursor(entry: Entry) -> str:
    return "/".join(entry.order)


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _shown(request: Request, found: Shown) -> Response:
    headers = {
        "etag": quoted(found.tag),
        "vary": "Accept, Authorization, Cookie",
        "x-reconcile-commit": found.commit,
        "x-reconcile-file": f"{quote(found.file.encode('utf-8', 'surrogateescape'))}:{found.line}",
    }
    if unchanged(request, found.tag):
        return Response(status_code=304, headers=headers)
    if wanted_form(request) is Form.YAML:
        return Response(found.text, headers=headers, media_type=YAML_TYPE)
    document = {
        "schema_version": 1,
        "kind": found.kind,
        "namespace": found.key.namespace,
        "name": found.key.name,
        "etag": quoted(found.tag),
        "commit": found.commit,
        "file": _printable(found.file),
        "document": found.document,
        "line": found.line,
        "policy": found.value,
    }
    return Response(json.dumps(document), headers=headers, media_type="application/json")


def _done(done: Done, wish: Wish) -> Response:
    document = {
        "schema_version": 1,
        "action": str(done.action),
        "dry_run": wish.dry_run,
        "proposed": wish.propose and not wish.dry_run and bool(done.commit),
        "commit": done.commit or None,
        "branch": done.branch or None,
        "pull": done.pull or None,
        "file": _printable(done.file),
        "etag": quoted(done.tag) if done.tag else None,
        "message": done.message,
        "diff": done.diff,
        "plan": done.plan,
        "warnings": [item.as_json() for item in done.notes],
    }
    reply = json_reply(document, status=_status(done, wish))
    if done.tag and not wish.dry_run and not wish.propose:
        reply.headers["etag"] = quoted(done.tag)
    return reply


def _status(done: Done, wish: Wish) -> int:
    if not done.commit:
        return 200
    if wish.propose:
        return 202
    return 201 if done.action is Action.CREATE else 200
