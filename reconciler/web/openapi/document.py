"""The OpenAPI 3.1 document: made from the operations, their models and the schemas. Pure, and the same for the same code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from reconciler import __version__
from reconciler.web.media import JSON_TYPE, YAML_TYPE
from reconciler.web.openapi.operations import BODIES, OPERATIONS, PATH_PARAMETERS, POLICY, Operation
from reconciler.web.openapi.schemas import SCHEMAS, Schema, ref
from reconciler.yamldoc import dump

_ATTRIBUTE = re.compile(r"^ {8}(\w+): ((?:.|\n {12})+)", re.MULTILINE)
_ALWAYS = {
    400: "The request can't be understood.",
    401: "Nobody in particular asks, or by a token that is none.",
    403: "The caller may not do this.",
    429: "This is asked too often; `Retry-After` says when to come back.",
    503: "It can't be done now; the same request may work later.",
}
_OVERVIEW = (
    "Policies, rollouts and passes over HTTP. Git is the database: every write is a commit by its author, validated and guarded "
    "before it is written. Times are RFC 3339 in UTC; every JSON document has a `schema_version`; every answer that is an error has "
    "the form `Errors`."
)


def described(paths: Iterable[str] | None = None) -> dict[str, Any]:
    """The document.

    Args:
        paths: Only these; all of them by default.
    """
    wanted = None if paths is None else frozenset(paths)
    every: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        if wanted is None or operation.path in wanted:
            every.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Envoy reconciler",
            "version": __version__,
            "description": _OVERVIEW,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": every,
        "components": {
            "schemas": {**SCHEMAS, **{name: _model(model) for name, model in BODIES.items()}},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token, as `reconcile token create` shows it.",
                }
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": f"{operation.method}{re.sub('[^a-z]+', '-', operation.path.removeprefix('/v1'))}".rstrip("-"),
        "tags": [operation.group],
        "summary": operation.summary,
        "description": _words(operation),
        "parameters": list(_parameters(operation)),
        "responses": _responses(operation),
        "security": [{"token": []}] if operation.roles else [{}, {"token": []}],
    }
    if operation.body:
        out["requestBody"] = {
            "required": True,
            "content": {
                media: {"schema": schema} | _example(media, schema) for media, schema in operation.body.items()
            },
        }
    return out


def _words(operation: Operation) -> str:
    roles = " or ".join(f"`{role}`" for role in operation.roles)
    return " ".join(part for part in (operation.text, f"Takes the role {roles}." if roles else "") if part)


def _example(media: str, schema: Schema) -> dict[str, Any]:
    if media == YAML_TYPE:
        return {"example": dump(dict(POLICY))}
    return {"example": dict(POLICY)} if schema == ref("Policy") else {}


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", operation.path):
        schema = {key: value for key, value in PATH_PARAMETERS[name].items() if key != "description"}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schema,
            "description": PATH_PARAMETERS[name]["description"],
        }
    fields: dict[str, Any] = dict(operation.parameters)
    if operation.query is not None:
        fields |= _model(operation.query)["properties"]
    for name, schema in fields.items():
        rest = {key: value for key, value in schema.items() if key != "description"}
        yield {"name": name, "in": "query", "schema": rest, "description": schema.get("description", "")}
    for name, words in operation.headers.items():
        if name != "Accept":  # OpenAPI has media types for it
            yield {"name": name, "in": "header", "schema": {"type": "string"}, "description": words}


def _responses(operation: Operation) -> dict[str, Any]:
    out: dict[str, Any] = {}
    sends = {name: {"description": words, "schema": {"type": "string"}} for name, words in operation.sends.items()}
    for status, schema in operation.replies.items():
        said: dict[str, Any] = {"description": _status(status)} | ({"headers": sends} if sends else {})
        if schema is not None:
            said["content"] = {
                media: {"schema": {"type": "string"} if media == YAML_TYPE else schema} for media in operation.media
            }
        out[str(status)] = said
    errors = _ALWAYS | dict(operation.errors)
    for status, words in sorted(errors.items()):
        out[str(status)] = {"description": words, "content": {JSON_TYPE: {"schema": ref("Errors")}}}
    return out


def _status(status: int) -> str:
    return {
        200: "Done, or what was asked for.",
        201: "Created.",
        202: "Proposed: it waits for somebody to merge it.",
        204: "Done.",
        304: "Not changed.",
    }[status]


def _model(model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema, with what its docstring says of its fields."""
    schema = model.model_json_schema()
    schema.pop("title", None)
    words = attributes(model)
    schema["description"] = (model.__doc__ or "").partition("\n")[0]
    for name, field in schema["properties"].items():
        field.pop("title", None)
        field["description"] = words[name]
    return schema


def attributes(model: type) -> Mapping[str, str]:
    """What the docstrings of a class and of those that it builds on say of its attributes."""
    out: dict[str, str] = {}
    for base in reversed(model.__mro__):
        found = _ATTRIBUTE.findall((base.__doc__ or "").partition("Attributes:\n")[2])
        out |= {name: " ".join(text.split()) for name, text in found}
    return out
