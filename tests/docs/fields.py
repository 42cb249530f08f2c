"""The fields that users may write, read from the models: name, type, default, meaning; and the ones refused by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reconciler.clock import format_duration
from reconciler.model.spec import Spec
from reconciler.policy.kinds import KINDS

_ATTRIBUTE = re.compile(r"(\w+): (.*)")
_CONSTRAINTS = ("ge", "le")
_CAMEL = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
_ENVOYS = frozenset({"runtime_key_prefix"})


_KINDS = frozenset(spec for _, spec in KINDS.values())


@dataclass(frozen=True, slots=True)
class Row:
    """One field.

    Attributes:
        path: From the spec, as users write it: `http[].route[].weight`; `NAME` stands for any key of a mapping.
        default: As YAML, "" if there is none to show, `required` if it must be written.
    """

    path: str
    type: str
    default: str
    meaning: str


def rows(spec: type[Spec], known: dict[type[Spec], str] | None = None) -> Iterator[Row]:
    """Every field of a spec and of what is inside it, in the order of the models; what repeats is referred to.

    Args:
        spec: Whose.
        known: What was shown before, and where; what is shown here is added.
    """
    yield from _rows(spec, "", {} if known is None else known)


def _rows(spec: type[Spec], path: str, known: dict[type[Spec], str]) -> Iterator[Row]:
    known.update((item, kind) for kind, (_, item) in KINDS.items())
    said = attributes(spec)
    for name, field in spec.model_fields.items():
        here = f"{path}{field.alias}"
        within, steps, words = shape(field.annotation)
        nested = inner(field.annotation)
        meaning = said.get(name, "")
        if nested and within in known:
            meaning = f"{meaning.rstrip('.')}; fields as in `{known[within]}`."
        default = "" if nested and not field.is_required() else _default(field)
        yield Row(here, f"{words}{_limits(field)}", default, _CAMEL.sub(_camel, meaning))
        if nested and within not in known:
            known[within] = here
            yield from _rows(nested, f"{here}{steps}.", known)


def refused(spec: type[Spec], path: str = "", known: frozenset[type[Spec]] = _KINDS) -> Iterator[tuple[str, str]]:
    """Every field that is refused by name, with the reason; what repeats is said once."""
    for name, reason in spec.refused.items():
        yield f"{path}{name}", reason
    for field in spec.model_fields.values():
        _, steps, _ = shape(field.annotation)
        within = inner(field.annotation)
        if within is not None and within not in known:
            known |= {within}
            yield from refused(within, f"{path}{field.alias}{steps}.", known)


def attributes(spec: type[Spec]) -> Mapping[str, str]:
    """The `Attributes:` of a docstring, and of those of the specs that it builds on."""
    found: dict[str, str] = {}
    for part in reversed(spec.__mro__):
        if issubclass(part, Spec):
            found |= _listed(part)
    return found


def _listed(spec: type[Spec]) -> dict[str, str]:
    # From Python 3.13 on docstrings come without their indentation; this makes them equal before.
    _, _, listed = inspect.cleandoc(spec.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        started = _ATTRIBUTE.fullmatch(line.strip()) if line.startswith(" " * 4) and line[4:5] != " " else None
        if started:
            name = started[1]
            found[name] = started[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def inner(annotation: Any) -> type[Spec] | None:
    """The object that stands in an annotation, alone, in a list or in a mapping; None for a value."""
    found = shape(annotation)[0]
    return found if isinstance(found, type) and issubclass(found, Spec) else None


def shape(annotation: Any) -> tuple[Any, str, str]:
    """The innermost type, the steps to it (`[]`, `.NAME`), and words for the whole."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape(arguments[0])
    if origin in {Union, UnionType}:
        return shape(next(item for item in arguments if item is not type(None)))
    if origin is tuple:
        inner, steps, words = shape(arguments[0])
        return inner, f"[]{steps}", f"list of {words}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner, steps, words = shape(arguments[1])
        return inner, f".NAME{steps}", f"mapping to {words}"
    return annotation, "", _word(annotation)


def _word(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{item.value}`" for item in annotation)
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return "object"
    words = {str: "text", int: "integer", float: "number", bool: "boolean", timedelta: "duration", Any: "anything"}
    return words[annotation]


def _limits(field: FieldInfo) -> str:
    found = {name: getattr(item, name) for item in field.metadata for name in _CONSTRAINTS if hasattr(item, name)}
    inner = field.annotation
    while get_origin(inner) is not None:
        if get_origin(inner) is Annotated:
            marks = [mark for item in get_args(inner)[1:] for mark in getattr(item, "metadata", ())]
            found |= {name: getattr(mark, name) for mark in marks for name in _CONSTRAINTS if hasattr(mark, name)}
        inner = get_args(inner)[-1] if get_origin(inner) not in {Annotated, Union, UnionType} else get_args(inner)[0]
    return f", {found['ge']} to {found['le']}" if found.keys() >= set(_CONSTRAINTS) else ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value in (None, "", ()) or value == {}:
        return ""
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{format_duration(value) if isinstance(value, timedelta) else getattr(value, 'value', value)}`"


def _camel(match: re.Match[str]) -> str:
    """A field as YAML spells it, where a docstring has Python's name."""
    return f"`{to_camel(match[1])}`" if match[1] not in _ENVOYS else match[0]
