"""Every operation of the API: what it takes, what it answers, and which role it wants. Tests hold this against the routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from reconciler.web.access.callers import Role
from reconciler.web.media import JSON_TYPE, YAML_TYPE
from reconciler.web.messages import PassRequest
from reconciler.web.openapi.schemas import Schema, ref
from reconciler.web.routes.policies import DeleteQuery, ListQuery, WriteQuery
from reconciler.web.routes.receipts import ReceiptsQuery
from reconciler.web.routes.rollouts import Command, CommandQuery
from reconciler.web.routes.session import SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        method: In lower case.
        path: With `{parameters}`.
        group: What it is listed under.
        summary: In a line.
        text: More, if there is.
        roles: One of them is needed; none for everybody.
        query: Model of the query.
        parameters: Others of the query, by name.
        headers: Of the request that it reads, by name: what they are for.
        body: By media type.
        optional: Whether the body may be left out.
        replies: Schema by status; None for an empty answer. A status below 400.
        media: Of the answer, beside JSON.
        errors: Statuses of its own, beside those that every operation may answer.
        sends: Headers of a good answer.
    """

    method: str
    path: str
    group: str
    summary: str
    text: str = ""
    roles: tuple[Role, ...] = (Role.READ,)
    query: type[BaseModel] | None = None
    parameters: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Schema] = field(default_factory=dict)
    replies: Mapping[int, Schema | None] = field(default_factory=dict)
    media: tuple[str, ...] = (JSON_TYPE,)
    errors: Mapping[int, str] = field(default_factory=dict)
    sends: Mapping[str, str] = field(default_factory=dict)


_ONE = "/v1/policies/{kind}/{namespace}/{name}"
_ROLLOUT = "/v1/rollouts/{namespace}/{name}"
_WRITES = (Role.WRITE, Role.PROPOSE)
_DOCUMENT = {200: ref("Document")}
_NO_SUCH = {404: "There is none of this name."}
_TAGGED = {"ETag": "Blob id that Git would give the document by itself; send it as `If-Match` to change it."}
_REFUSALS = {
    409: "A guard refuses the change, the branch takes no commits from here, or the file can't be changed in place.",
    412: "The policy is not as the precondition says; nothing was written.",
    413: "The policy is too large.",
    422: "With this change the policies would have errors; they have files and lines.",
    428: "There is no precondition.",
}
_WRITING = (
    "One document changes, and every other byte of its file stays. The mesh as it would be is compiled and judged by the guards; then "
    "it is committed, by the token's name and address, on top of a head on which the policy is as it was seen. Who has the role "
    "`propose` and not `write` proposes: the change goes to a branch `reconciler/propose/ID`, with a pull request where the mesh "
    "names a forge. `allow` takes the role `operate`, and so does writing a Mesh, a Proxy or an AnalysisTemplate without a proposal, "
    "as these say what the daemon calls and reads."
)
_IF_MATCH = {"If-Match": "ETags that the policy may have, or `*`."}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="get",
        path="/v1/policies",
        group="Policies",
        summary="List policies",
        query=ListQuery,
        replies={200: ref("PolicyList")},
    ),
    Operation(
        method="get",
        path=_ONE,
        group="Policies",
        summary="Read a policy",
        text="As it was written, in YAML, for `Accept: application/yaml`; else as JSON, with where it is.",
        headers={"If-None-Match": "What the client has; answered by 304 if it is so still.", "Accept": "JSON or YAML."},
        replies={200: ref("PolicyShown"), 304: None},
        media=(JSON_TYPE, YAML_TYPE),
        errors=_NO_SUCH | {409: "There are several of this name, or it shares its lines with another."},
        sends=_TAGGED | {"X-Reconcile-File": "`FILE:LINE`.", "X-Reconcile-Commit": "Of the policy branch."},
    ),
    Operation(
        method="put",
        path=_ONE,
        group="Policies",
        summary="Create or change a policy",
        text=_WRITING,
        roles=_WRITES,
        query=WriteQuery,
        headers=_IF_MATCH | {"If-None-Match": "`*` to create."},
        body={YAML_TYPE: {"type": "string"}, JSON_TYPE: ref("Policy")},
        replies={200: ref("Written"), 201: ref("Written"), 202: ref("Written")},
        errors=_REFUSALS | {415: "The body is neither YAML nor JSON."},
        sends=_TAGGED,
    ),
    Operation(
        method="delete",
        path=_ONE,
        group="Policies",
        summary="Delete a policy",
        text=_WRITING,
        roles=_WRITES,
        query=DeleteQuery,
        headers=_IF_MATCH,
        replies={200: ref("Written"), 202: ref("Written")},
        errors=_REFUSALS,
    ),
    Operation(
        method="post",
        path=f"{_ROLLOUT}/{{command}}",
        group="Rollouts",
        summary="Ask something of a rollout",
        text="As `reconcile rollout COMMAND`: a commit by who asks, on which the next pass acts.",
        roles=(Role.OPERATE,),
        query=CommandQuery,
        replies={200: ref("Commanded")},
        errors=_NO_SUCH | {409: "It does not fit where the rollout stands, or the branch takes no commits from here."},
    ),
    Operation(method="get", path="/v1/rollouts", group="Rollouts", summary="List rollouts", replies=_DOCUMENT),
    Operation(
        method="get",
        path=_ROLLOUT,
        group="Rollouts",
        summary="Read a rollout",
        text="Its steps, its evidence, its commits and its curve.",
        replies=_DOCUMENT,
        errors=_NO_SUCH,
    ),
    Operation(
        method="post",
        path="/v1/passes",
        group="Passes",
        summary="Run one pass and wait for it",
        text=(
            "A dry run changes nothing, but it is a pass, which others wait for: so it takes more than the role `read`. Who has the role "
            "`propose` and not `operate` may ask for dry runs alone, as previews of pull requests do; two of them at a time."
        ),
        roles=(Role.OPERATE, Role.PROPOSE),
        body={JSON_TYPE: ref("PassRequest")},
        replies={200: ref("PassResult")},
    ),
    Operation(
        method="get",
        path="/v1/receipts",
        group="History",
        summary="Read receipts",
        query=ReceiptsQuery,
        replies={200: ref("Receipts")},
    ),
    Operation(
        method="get",
        path="/v1/timeline",
        group="History",
        summary="Read what happened on both branches, newest first",
        parameters={
            "before": {"type": "string", "maxLength": 100, "description": "`next` of the page before."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 30, "description": "Entries."},
        },
        replies=_DOCUMENT,
    ),
    Operation(
        method="get",
        path="/v1/commits/{commit}",
        group="History",
        summary="Read one commit of either branch, and what it changed",
        replies=_DOCUMENT,
        errors=_NO_SUCH,
    ),
    Operation(
        method="get",
        path="/v1/plan",
        group="Passes",
        summary="Read the plan of the newest pass, and what of it waits",
        replies=_DOCUMENT,
    ),
    Operation(method="get", path="/v1/status", group="Fleet", summary="Read what the daemon knows", replies=_DOCUMENT),
    Operation(
        method="get",
        path="/v1/services",
        group="Fleet",
        summary="Read the services, their instances and callers",
        replies=_DOCUMENT,
    ),
    Operation(
        method="get",
        path="/v1/traffic",
        group="Fleet",
        summary="Read who calls whom, with the split",
        replies=_DOCUMENT,
    ),
    Operation(
        method="get",
        path="/v1/targets",
        group="Fleet",
        summary="List the fleet for Prometheus",
        replies={200: ref("Targets")},
    ),
    Operation(
        method="get",
        path="/v1/events",
        group="Fleet",
        summary="Be told that something changed",
        text="Server-sent events, until the client goes.",
        replies={200: {"type": "string"}},
        media=("text/event-stream",),
    ),
    Operation(
        method="post",
        path="/v1/session",
        group="Sessions",
        summary="Sign in with a token",
        text="For the page: the answer sets a cookie. What is changed by it needs the header `X-Reconcile-CSRF`.",
        roles=(),
        body={JSON_TYPE: ref("SignIn")},
        replies={200: ref("Session")},
        sends={"Set-Cookie": "HttpOnly, SameSite=Strict, Secure under TLS; for twelve hours."},
    ),
    Operation(
        method="get",
        path="/v1/session",
        group="Sessions",
        summary="See who you are",
        roles=(),
        replies={200: ref("Session")},
    ),
    Operation(method="delete", path="/v1/session", group="Sessions", summary="Sign out", roles=(), replies={204: None}),
    Operation(
        method="get",
        path="/v1/openapi.json",
        group="This document",
        summary="Read this document",
        replies={200: {"type": "object"}},
    ),
)
"""In the order in which they are listed. Health, metrics and webhooks are not part of it: nobody writes clients for them."""

PATH_PARAMETERS: Mapping[str, Schema] = MappingProxyType(
    {
        "kind": {"type": "string", "description": "As the document says it: `VirtualService`."},
        "namespace": {"type": "string", "description": "`default` for a document that names none."},
        "name": {"type": "string", "description": "`metadata.name`."},
        "command": {"type": "string", "enum": [str(item) for item in Command], "description": "What is asked."},
        "commit": {"type": "string", "description": "Id of a commit."},
    }
)

BODIES: Mapping[str, type[BaseModel]] = MappingProxyType({"PassRequest": PassRequest, "SignIn": SignIn})
"""Models of requests, by the names of their schemas."""

POLICY: Mapping[str, Any] = MappingProxyType(
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews"},
        "spec": {
            "hosts": ["reviews"],
            "http": [
                {
                    "name": "primary",
                    "route": [
                        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
                        {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10},
                    ],
                }
            ],
        },
    }
)
"""The example of a body."""
