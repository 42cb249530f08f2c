"""The reference of docs/api.md, from the document that the daemon serves at `/v1/openapi.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.web.openapi import described


def reference() -> str:
    """Every operation by its group, then every schema."""
    document = described()
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    parts = [f"\n## {group}\n\n" + "\n".join(items) for group, items in groups.items()]
    schemas = [_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return "".join(parts) + "\n## Documents\n\n" + "\n".join(item for item in schemas if item)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    lines = [f"### {operation['summary']}", "", f"`{method.upper()} {path}`", ""]
    if operation["description"]:
        lines += [operation["description"], ""]
    rows = [
        f"| `{item['name']}` | {item['in']} | {_type(item['schema'])} | {item['description']} |"
        for item in operation["parameters"]
    ]
    if rows:
        lines += ["| parameter | in | type | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        lines += [f"Body: `{media}`, {_type(body['schema'])}.", ""]
    lines += ["| status | meaning | answer |", "| --- | --- | --- |"]
    for status, reply in operation["responses"].items():
        shown = ", ".join(f"{_type(item['schema'])} (`{media}`)" for media, item in reply.get("content", {}).items())
        lines.append(f"| {status} | {reply['description']} | {shown} |")
    return "\n".join(lines) + "\n"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        return ""
    required = schema.get("required", ())
    rows = [
        f"| `{field}` | {_type(inner)} | {'' if field in required else 'optional'} | {inner.get('description', '')} |"
        for field, inner in schema["properties"].items()
    ]
    head = ["| field | type | | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"### {name}", "", schema.get("description", ""), "", *head, *rows]) + "\n"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(item) for item in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{item}`" for item in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    default = schema.get("default")
    said = str(schema.get("type", "any"))
    return f"{said}, `{default}` by default" if default not in {None, ""} and not isinstance(default, list) else said
