"""Which of JSON and YAML is sent, and which is wanted (RFC 9110, section 12.5.1). Pure."""

from __future__ import annotations

from enum import StrEnum

from fastapi import Request

from reconciler.web.errors import MediaTypeError

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
_YAML = frozenset({YAML_TYPE, "application/x-yaml", "text/yaml", "text/x-yaml"})


class Form(StrEnum):
    """How a policy is written."""

    JSON = "json"
    YAML = "yaml"


def sent_form(request: Request) -> Form:
    """What the body says that it is.

    Raises:
        MediaTypeError: Neither.
    """
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said == JSON_TYPE:
        return Form.JSON
    if said in _YAML:
        return Form.YAML
    raise MediaTypeError("a policy is sent as YAML or JSON", hint=f"say `Content-Type: {YAML_TYPE}` or `{JSON_TYPE}`")


def wanted_form(request: Request) -> Form:
    """YAML, if the client likes it better than JSON; JSON for whoever has no opinion."""
    best = {Form.JSON: 0.0, Form.YAML: 0.0}
    for item in request.headers.get("accept", JSON_TYPE).split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = _weight(parameters)
        if name in _YAML:
            best[Form.YAML] = max(best[Form.YAML], weight)
        elif name in {JSON_TYPE, "application/*", "*/*"}:
            best[Form.JSON] = max(best[Form.JSON], weight)
    return Form.YAML if best[Form.YAML] > best[Form.JSON] else Form.JSON


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
