"""The documents of the API as JSON Schema (2020-12), by name. Requests' own schemas come from the models that read them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Schema = Mapping[str, Any]


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _text(words: str, **more: Any) -> Schema:
    return {"type": "string", "description": words} | more


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Schema, words: str = "") -> Schema:
    return {"type": "array", "items": schema} | ({"description": words} if words else {})


def _object(properties: Mapping[str, Schema], *, words: str, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "description": words,
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


_VERSION: Schema = {"const": 1, "description": "Of this form."}
_COMMIT = _text("Full id of a commit.", pattern="^[0-9a-f]{40}$")
_ETAG = _text("As it stands in the header `ETag`.", pattern='^"[0-9a-f]{40}"$')
_TIME = _text("RFC 3339, UTC.", format="date-time")
_ROLE: Schema = {"type": "string", "enum": ["operate", "propose", "read", "write"]}

_ENTRY = {
    "kind": _text("As the document says it."),
    "namespace": _text("`default` if the document names none."),
    "name": _text("Of the policy."),
    "api_version": _text("As the document says it."),
    "file": _text("Path in the repository."),
    "document": {"type": "integer", "minimum": 0, "description": "Index in the file, from 0."},
}
_PLACE = {
    "file": _text("Path in the repository."),
    "line": {"type": "integer", "minimum": 1, "description": "From 1."},
    "column": {"type": "integer", "minimum": 1, "description": "From 1."},
}

SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        "Diagnostic": _object(
            {
                "code": _text("Stable; errors.md says what each means."),
                "severity": {"type": "string", "enum": ["error", "warning"]},
                "message": _text("What is wrong."),
                "hint": _text("What to do about it, or nothing."),
                **_PLACE,
            },
            words="One message.",
            optional=tuple(_PLACE),
        ),
        "Errors": _object(
            {"schema_version": _VERSION, "errors": _list(ref("Diagnostic"))}, words="Every answer that is an error."
        ),
        "Document": {
            "type": "object",
            "description": "A document that has more in it than is described here.",
            "properties": {"schema_version": _VERSION},
            "required": ["schema_version"],
        },
        "Policy": {
            "type": "object",
            "description": "One policy, as `policies.md` describes its kind.",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}},
                    "required": ["name"],
                },
                "spec": {"type": "object"},
            },
            "required": ["apiVersion", "kind", "metadata"],
        },
        "PolicyEntry": _object(_ENTRY, words="One policy of the list."),
        "PolicyList": _object(
            {
                "schema_version": _VERSION,
                "commit": _COMMIT,
                "policies": _list(ref("PolicyEntry"), "By kind, namespace and name."),
                "next": _maybe(_text("For `after`, if there are more.")),
            },
            words="A page of policies.",
        ),
        "PolicyShown": _object(
            {
                "schema_version": _VERSION,
                **{name: schema for name, schema in _ENTRY.items() if name != "api_version"},
                "etag": _ETAG,
                "commit": _COMMIT,
                "line": {"type": "integer", "minimum": 1, "description": "At which it begins, from 1."},
                "policy": ref("Policy"),
            },
            words="One policy as it stands.",
        ),
        "Written": _object(
            {
                "schema_version": _VERSION,
                "action": {"type": "string", "enum": ["create", "update", "delete", "none"]},
                "dry_run": {"type": "boolean"},
                "proposed": {"type": "boolean", "description": "Whether `branch` waits for somebody to merge it."},
                "commit": _maybe(_COMMIT),
                "branch": _maybe(_text("Where the commit is.")),
                "pull": _maybe(_text("Address of the pull request.")),
                "file": _text("Path of the file that changed."),
                "etag": _maybe(_ETAG),
                "message": _text("Of the commit."),
                "diff": _text("As `git apply` takes it."),
                "plan": _maybe(
                    {
                        "type": "object",
                        "description": "What it comes to, compared offline: the form of `--output json`.",
                    }
                ),
                "warnings": _list(ref("Diagnostic")),
            },
            words="What a change of a policy came to.",
        ),
        "Commanded": _object(
            {
                "schema_version": _VERSION,
                "rollout": _text("Its name."),
                "namespace": _text("Its namespace."),
                "command": _text("What was asked."),
                "branch": _text("The policy branch."),
                "commit": _maybe(_COMMIT),
                "message": _text("Of the commit."),
                "diff": _text("As `git apply` takes it."),
                "note": _text("What should be known of it, such as what it waits for; empty if nothing."),
                "errors": _list(ref("Diagnostic")),
            },
            words="What came of a command.",
        ),
        "Receipts": _object(
            {
                "schema_version": _VERSION,
                "branch": _text("The record branch."),
                "receipts": _list(ref("Receipt"), "Newest first."),
                "next": _maybe(_text("For `before`, if there are more.")),
            },
            words="A page of receipts.",
        ),
        "Receipt": _object(
            {
                "commit": _COMMIT,
                "at": _TIME,
                "subject": _text("What happened, in a line."),
                "policy_commit": _text("What was applied."),
                "plan_digest": _text("Of the plan that was carried out."),
                "outcome": _text("`applied` if every proxy has what it is to have, else `partial`."),
                "proxies": _list(
                    _object(
                        {
                            "namespace": _text("Of the proxy."),
                            "name": _text("Of the proxy."),
                            "outcome": _text("What became of it."),
                            "proof": _text("How far that was shown."),
                        },
                        words="One proxy.",
                    )
                ),
            },
            words="What was live where, proven how.",
        ),
        "Session": _object(
            {
                "schema_version": _VERSION,
                "name": _text("Who it is; empty for nobody in particular."),
                "email": _text("Likewise."),
                "roles": _list(_ROLE),
                "token": _text("Id of the token."),
                "tokens": {
                    "type": "boolean",
                    "description": "Whether there are tokens here, and so anybody who can sign in.",
                },
                "csrf": _text("For the header `X-Reconcile-CSRF`; empty without a session."),
                "expires": _maybe(_TIME),
            },
            words="Who asks.",
        ),
        "PassResult": _object(
            {
                "schema_version": _VERSION,
                "stdout": _text("What `reconcile` would have written."),
                "stderr": _text("Likewise."),
                "exit_code": {"type": "integer"},
            },
            words="What a pass came to.",
        ),
        "Targets": _list(
            {
                "type": "object",
                "properties": {"targets": _list({"type": "string"}), "labels": {"type": "object"}},
                "required": ["targets"],
            },
            "As Prometheus' `http_sd_configs` reads it.",
        ),
    }
)
"""By name."""
