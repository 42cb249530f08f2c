from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from reconciler.model.spec import Spec
from reconciler.policy.documents import read_file
from reconciler.policy.kinds import ISTIO, KINDS
from tests.policy.rules.accepted import ACCEPTED
from tests.policy.rules.documents import ISTIO as DOCUMENT
from tests.policy.rules.whole import DOCUMENTS

SIX = {kind: spec for kind, (group, spec) in KINDS.items() if group == ISTIO}


def fields(spec: type[Spec], path: str = "", above: tuple[type[Spec], ...] = ()) -> Iterator[tuple[str, type[Spec]]]:
    """Every object of a kind, by its path: `http[].match[].headers{}`."""
    yield path, spec
    for field in spec.model_fields.values():
        inner, steps = shape(field.annotation)
        if isinstance(inner, type) and issubclass(inner, Spec) and inner not in above:
            yield from fields(inner, f"{path}.{field.alias}{steps}".removeprefix("."), (*above, spec))


def shape(annotation: Any) -> tuple[Any, str]:
    """What stands in an annotation, and how deep: `[]` for a list, `{}` for a mapping."""
    origin = get_origin(annotation)
    arguments = [item for item in get_args(annotation) if item not in {type(None), Ellipsis}]
    if origin is Annotated or origin in {Union, UnionType}:
        return shape(arguments[0])
    if origin is None:
        return annotation, ""
    inner, steps = shape(arguments[-1])
    return inner, ("[]" if origin is tuple else "{}") + steps


OBJECTS = [(kind, path) for kind, spec in SIX.items() for path, _ in fields(spec)]


@pytest.mark.parametrize(("kind", "path"), OBJECTS)
def test_an_unknown_field_anywhere_is_an_error_at_its_place(kind: str, path: str) -> None:
    """In every object of the six kinds, however deep: nothing is ever silently ignored."""
    lines = [*DOCUMENT.format(kind, "spec:").split("\n")]
    indent = "  "
    for step in re.findall(r"\w+|\[\]|\{\}", path):
        lines.append(f"{indent}any:" if step == "{}" else f"{indent}-" if step == "[]" else f"{indent}{step}:")
        indent += "  "
    lines.append(f"{indent}mistake: 1")
    found = read_file("\n".join(lines).encode(), file="x.yaml").diagnostics
    wanted = [item for item in found if item.code == "unknown-field"]
    assert [(item.line, item.column) for item in wanted] == [(len(lines), len(indent) + 1)]
    assert "mistake" in wanted[0].message


def used(value: Any) -> Iterator[tuple[type[Spec], str]]:
    """Every field that a spec says something in."""
    if isinstance(value, Spec):
        for name in value.model_fields_set:
            yield type(value), name
            yield from used(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from used(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from used(item)


def test_every_field_is_accepted_in_some_document() -> None:
    """A field of the models that no document can use would be one that is refused without saying so."""
    policies = [policy for text in DOCUMENTS for policy in _load(text)]
    said = {item for policy in policies for item in used(policy.spec)}
    every = {(spec, name) for kind in SIX.values() for _, spec in fields(kind) for name in spec.model_fields}
    assert sorted(f"{spec.__name__}.{name}" for spec, name in every - said) == []
    assert {policy.kind for policy in policies} == set(SIX)


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_istio_takes_is_taken(text: str) -> None:
    """The other half of the verdicts: odd, but meant."""
    assert _load(text)


def _load(text: str) -> tuple[Any, ...]:
    result = read_file(text.encode(), file="x.yaml")
    assert [str(item) for item in result.diagnostics if item.severity == "error"] == []
    return result.policies


def test_choices_are_walked_too() -> None:
    """The walk finds what is nested in lists, mappings and options; if it did not, the tests above would prove nothing."""
    paths = dict(fields(SIX["VirtualService"]))
    assert {"http[].match[].headers{}", "tls[].match[]", "http[].fault.delay.percentage"} <= set(paths)
    assert not any(issubclass(spec, Enum) for spec in paths.values())
    assert len(OBJECTS) > 100
