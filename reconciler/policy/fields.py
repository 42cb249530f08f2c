"""From pydantic's verdict on a spec to messages in plain words, each at its field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError

from reconciler.model.origin import FieldPath
from reconciler.model.spec import Spec
from reconciler.policy.findings import Report, close, show

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_LINES = ("prometheus", "query")
_LONGEST = 80
"""Characters of a value that a message repeats."""
"""The one field whose text may have several lines: PromQL takes any space for a space, and has comments that end with a line."""

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
}

_OTHERS = frozenset({
    "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS", "GRPC", "GRPC-WEB", "HTTP2", "HTTPS", "IPTABLES", "MONGO", "MYSQL", "NONE",
    "PASSTHROUGH", "REDIS", "TCP", "TLS",
})  # fmt: skip
"""Choices that other fields have: who writes one of them means it, not one that looks alike."""

_ELSEWHERE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "UDP": ("Istio takes it and does nothing with it", "remove the port: UDP passes a proxy by"),
        "HTTP_PROXY": ("a proxy's port is a listener, not a service", "give it to a Sidecar's egress listener"),
        "HBONE": ("it is the protocol of Istio's ambient mesh", "write what the application speaks"),
        "AUTO_PASSTHROUGH": (
            "it connects the clusters of an Istio mesh by names that only Istio's sidecars ask for",
            "write PASSTHROUGH, and tls rules in a VirtualService for the hosts",
        ),
    }
)
"""Choices of Istio's API that are not carried out: why, and what to write instead."""

_LIMITS = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be more than"),
    "less_than_equal": ("le", "must be at most"),
    "less_than": ("lt", "must be less than"),
}


def read_spec(spec: type[Spec], value: Any, report: Report) -> Spec | None:
    """A validated spec, or None with every problem in the report."""
    if value is None:
        report.at().error(
            "missing-field", "spec is required", "spec", hint="a document says everything in spec", key=True
        )
        return None
    text = json.dumps(value, ensure_ascii=False)
    if "\\" in text:
        for path in _with_control_characters(value, ()):
            report.error("control-character", f"{show(path)} has a control character", *path, hint="remove it")
    try:
        return spec.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        found = error.errors(include_url=False)
        for item in found:
            if not (item["type"] == "too_short" and _has_faulty_items(item["loc"], [other["loc"] for other in found])):
                _explain(spec, dict(item), report)
        return None


def _has_faulty_items(path: FieldPath, faults: list[FieldPath]) -> bool:
    """Whether a list has items with faults: pydantic doesn't count those, and takes the list to be too short."""
    return any(fault[: len(path)] == path != fault for fault in faults)


def _explain(spec: type[Spec], error: dict[str, Any], report: Report) -> None:
    kind, path, given = error["type"], tuple(error["loc"]), error.get("input")
    context: Mapping[str, Any] = error.get("ctx") or {}
    name = show(path) or "spec"
    if kind == "extra_forbidden":
        _unknown(_model_at(spec, path[:-1]), path, report)
    elif kind == "missing":
        report.error("missing-field", f"{name} is required", *path, hint=_fields_hint(_model_at(spec, path)))
    elif kind == "enum" and str(given).upper() in _ELSEWHERE:
        reason, hint = _ELSEWHERE[str(given).upper()]
        report.error("unsupported-value", f"{name} can't be {_quoted(given)}: {reason}", *path, hint=hint)
    elif kind == "enum":
        choices = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        near = "" if str(given) in _OTHERS else close(str(given), choices.split(", "))
        hint = near or f"write one of: {choices}"
        report.error("enum", f"{name} can't be {_quoted(given)}; it is one of {choices}", *path, hint=hint)
    elif kind in _LIMITS:
        limit, words = _LIMITS[kind]
        report.error("value", f"{name} {words} {context.get(limit)}; it is {_quoted(given)}", *path)
    elif kind in {"string_too_short", "too_short"}:
        report.error("missing-field", f"{name} must not be empty", *path)
    elif kind == "value_error":
        problem, _, advice = str(context.get("error")).partition("; ")
        report.error("duration", f"{name}: {problem}", *path, hint=advice or "write it like 500ms, 10s or 1h30m")
    elif kind in _WANTED:
        message = f"{name} must be {_WANTED[kind]}; it is {_described(given)}"
        report.error("type", message, *path, hint=_type_hint(kind, given))
    else:
        report.error("value", f"{name}: {error.get('msg')}", *path)


def _unknown(model: type[Spec] | None, path: FieldPath, report: Report) -> None:
    name, parent = str(path[-1]), show(path[:-1]) or "spec"
    if model is not None and name in model.refused:
        message = f"{show(path)}: {model.refused[name]}"
        report.error("unsupported-field", message, *path, hint="remove it", key=True)
        return
    known = _aliases(model)
    hint = close(name, known) or _fields_hint(model)
    report.error("unknown-field", f"{parent} has no field {name}", *path, hint=hint, key=True)


def _aliases(model: type[Spec] | None) -> list[str]:
    return [str(field.alias) for field in model.model_fields.values()] if model else []


def _fields_hint(model: type[Spec] | None) -> str:
    known = ", ".join(_aliases(model))
    return f"it has the fields {known}" if known else ""


def _model_at(spec: type[Spec], path: FieldPath) -> type[Spec] | None:
    """The model of the value at a path, if it is one."""
    current: Any = spec
    for step in path:
        if isinstance(current, type) and issubclass(current, Spec):
            field = next((item for item in current.model_fields.values() if item.alias == step), None)
            current = _bare(field.annotation) if field else None
        else:
            inner = [item for item in get_args(current) if item is not Ellipsis]
            current = _bare(inner[-1]) if inner else None
    return current if isinstance(current, type) and issubclass(current, Spec) else None


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return _bare(next(item for item in get_args(annotation) if item is not type(None)))
    return annotation


def _described(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return f"the text {_quoted(value)}" if isinstance(value, str) else f"the number {value}"


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _type_hint(kind: str, given: Any) -> str:
    if given is None:
        return "give it a value, or remove the field"
    if kind == "string_type" and isinstance(given, int | float):
        return "quote it"
    if kind in {"int_type", "float_type", "bool_type"} and isinstance(given, str):
        return "remove the quotes" if re.fullmatch(r"[-+]?[0-9.]+|true|false", given) else ""
    return "write it as a list: [..., ...]" if kind == "tuple_type" and isinstance(given, str) else ""


def _with_control_characters(value: Any, path: FieldPath) -> Iterator[FieldPath]:
    if isinstance(value, str):
        if _CONTROL.search(value.replace("\n", " ") if path[-2:] == _LINES else value):
            yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            if _CONTROL.search(key):
                yield (*path, key)
            yield from _with_control_characters(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _with_control_characters(item, (*path, index))
