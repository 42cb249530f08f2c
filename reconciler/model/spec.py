"""What the specs of all kinds have in common: strict, frozen, in Istio's spelling, with fields we refuse named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reconciler.clock import parse_duration


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is a string like 500ms, 10s or 1h30m")  # noqa: TRY004 -- pydantic wants ValueError
    return parse_duration(value)


Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
"""`500ms`, `10s`, `1h30m`; see `reconciler.clock.parse_duration`."""

PortNumber = Annotated[int, Field(ge=1, le=65535, strict=True)]
Labels = Mapping[str, str]


class Spec(BaseModel):
    """Base of every spec and of every message inside one.

    Fields are spelled as in Istio's API (camelCase) in YAML and in Python's way in code. An unknown field is an error.
    Scalars are strict: `"10"` is not a number and `1` is not a string, as in Kubernetes. So validate documents as JSON
    (`model_validate_json`), where strictness still lets an array be a tuple and a string an enum member.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
    )

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields of the source API that are not carried out, by their YAML name, and why or what to use instead.

    They are errors like any unknown field, with a text that says so.
    """
