"""Templates, parsed once: the protobufs that the compiler copies and fills.

This is the only place where YAML becomes Envoy messages; after it, no text is touched. It knows what a template may hold
(`templates`), not what the compiler does with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

# The template of the observer's listener has one; it has to be in the descriptor pool.
import envoy.extensions.filters.network.connection_limit.v3.connection_limit_pb2  # noqa: F401
from google.protobuf import json_format
from google.protobuf.message import Message

from reconciler.compile.templates import TEMPLATES, Template, decided_field
from reconciler.errors import Diagnostic, PolicyError
from reconciler.model.origin import FieldPath
from reconciler.model.protos import canonical
from reconciler.yamldoc import YamlError, load, locate

FOLDER = "envoy-templates"
"""Where the templates are, in this product and in a policy repository; the folder that messages name."""

_WRAPPED = re.compile(r"Failed to parse (\w+) field: ")
_AT = re.compile(r' at "?\w+((?:\.\w+|\[[^\]]*\])+)"?\.*$')
_STEP = re.compile(r"\.(\w+)|\[([^\]]*)\]")
_UNKNOWN = re.compile(r'^Message type "[\w.]+" has no field named "(?P<field>\w+)" at "\w+(?P<path>[^"]*)"')


class TemplateError(PolicyError):
    """Templates that can't be used; carries a diagnostic for each, with file and, where known, line."""

    default_code = "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototypes:
    """One message for each template. They are shared: copy, never fill.

    Attributes:
        access_log: None if its file is empty.
    """

    access_log: Any
    bootstrap: Any
    cluster: Any
    cluster_ads: Any
    cluster_dns: Any
    cluster_http2: Any
    cluster_inbound: Any
    dns_cache: Any
    http_connection_manager: Any
    listener_gateway: Any
    listener_inbound: Any
    listener_metrics: Any
    listener_observer: Any
    listener_outbound: Any
    route: Any
    route_configuration: Any
    route_inbound: Any
    virtual_host: Any
    virtual_host_unknown: Any

    @classmethod
    def parse(cls, templates: Mapping[str, str]) -> Self:
        """Parse all templates: file name (`cluster.yaml`) to text.

        Raises:
            TemplateError: Files are unknown, missing, not YAML, not the message they should be, or set what the compiler
                sets. All of them are named, not the first.
        """
        problems = [_unknown_file(name) for name in sorted(templates) if name not in TEMPLATES]
        parsed: dict[str, Any] = {}
        for name, template in TEMPLATES.items():
            if name not in templates:
                problems.append(_problem(name, "template-missing", "this template is missing", hint=_KNOWN_HINT))
                continue
            try:
                parsed[_attribute(name)] = _parse(name, templates[name].encode(), template)
            except TemplateError as error:
                problems.extend(error.diagnostics)
        if problems:
            raise TemplateError(diagnostics=sorted(problems, key=Diagnostic.sort_key))
        return cls(**parsed)


_KNOWN_HINT = f"the templates are {', '.join(sorted(TEMPLATES))}"


def _attribute(name: str) -> str:
    return name.removesuffix(".yaml").replace("-", "_")


def _parse(name: str, text: bytes, template: Template) -> Message | None:
    file = f"{FOLDER}/{name}"
    try:
        documents = load(text, file=file)
    except YamlError as error:
        raise TemplateError(diagnostics=error.diagnostics) from error
    if len(documents) > 1:
        raise _error(name, "template-type", "a template is a single YAML document", at=locate(text, 1, ()))
    value = documents[0] if documents else None
    if value is None and template.optional:
        return None
    if not isinstance(value, dict | None):
        raise _error(
            name, "template-type", f"a template is a mapping: the fields of an {_type_name(template)}", at=(1, 1)
        )
    message = _message(name, text, value or {}, template)
    decided = decided_field(message, template)
    if decided is not None:
        place = locate(text, 0, _spelled(value or {}, decided), key=True)
        hint = "leave it out; the comments in the house template say what may be set"
        raise _error(name, "template-decided", f"{'.'.join(decided)} is set by the compiler", at=place, hint=hint)
    return message


def _message(name: str, text: bytes, value: Mapping[str, Any], template: Template) -> Message:
    try:
        return canonical(json_format.ParseDict(dict(value), template.message()))
    except (json_format.ParseError, AttributeError, TypeError) as error:
        message, path, key = _explain(str(error))
        hint = f"this file is an {_type_name(template)}, written as YAML"
        place = locate(text, 0, _spelled(value, path), key=key)
        raise _error(name, "template-field", message, at=place, hint=hint) from error


def _explain(text: str) -> tuple[str, FieldPath, bool]:
    """What a ParseError says in one line, the path it speaks of, and whether the key itself is at fault."""
    first = text.partition("\n")[0]
    wrapped = tuple(_WRAPPED.findall(first))
    bare = _WRAPPED.sub("", first)
    unknown = _UNKNOWN.match(bare)
    if unknown is not None:
        return f"there is no field {unknown['field']!r} here", (*_steps(unknown["path"]), unknown["field"]), True
    at = _AT.search(bare)
    if at is None:
        return bare.rstrip("."), wrapped, False
    return bare[: at.start()].rstrip("."), max(_steps(at[1]), wrapped, key=len), False


def _steps(path: str) -> FieldPath:
    return tuple(
        name or (int(index) if index.isdigit() else index)
        for name, index in ((match[1], match[2]) for match in _STEP.finditer(path))
    )


def _spelled(value: Any, path: Iterable[str | int]) -> FieldPath:
    """A path in the spelling of the file: protobuf takes `connectTimeout` for `connect_timeout`."""
    steps: list[str | int] = []
    for step in path:
        if isinstance(value, dict) and step not in value:
            step = next((key for key in value if _snake(key) == step), step)  # noqa: PLW2901 -- the same step, respelled
        steps.append(step)
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
    return tuple(steps)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def _type_name(template: Template) -> str:
    return str(template.message.DESCRIPTOR.full_name)


def _unknown_file(name: str) -> Diagnostic:
    return _problem(name, "template-unknown", "there is no template of this name", hint=_KNOWN_HINT)


def _error(name: str, code: str, message: str, *, at: tuple[int, int], hint: str = "") -> TemplateError:
    return TemplateError(diagnostics=[_problem(name, code, message, hint=hint, at=at)])


def _problem(name: str, code: str, message: str, *, hint: str = "", at: tuple[int, int] | None = None) -> Diagnostic:
    line, column = at or (None, None)
    return Diagnostic(code=code, message=message, hint=hint, file=f"{FOLDER}/{name}", line=line, column=column)
