"""Istio's fields beside ours: walks the messages of its API and our models together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from reconciler.model.spec import Spec
from reconciler.policy.kinds import ISTIO, KINDS
from reconciler.yamldoc import load
from tests.docs.fields import inner

SIX: Mapping[str, type[Spec]] = {kind: spec for kind, (group, spec) in KINDS.items() if group == ISTIO}
_NAMES = Path(__file__).parent / "istio_fields.yaml"

Messages = Mapping[str, Mapping[str, str | None]]


def messages() -> Messages:
    """Istio's messages: the fields of each, with the message inside a field."""
    (found,) = load(_NAMES.read_bytes())
    return dict(found)


def differences(kind: str, api: Messages) -> Iterator[tuple[str, str]]:
    """By path, what is wrong with a field: `forgotten`, `ours` (Istio has none such), `both` (refused and carried out), `shape`."""
    yield from _compare(api, kind, SIX[kind], "", ())


def _compare(
    api: Messages, message: str, spec: type[Spec], path: str, above: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    theirs = api[message]
    carried = {str(field.alias): field for field in spec.model_fields.values()}
    yield from ((f"{path}{name}", "forgotten") for name in theirs if name not in carried and name not in spec.refused)
    yield from ((f"{path}{name}", "ours") for name in carried if name not in theirs)
    yield from ((f"{path}{name}", "both") for name in carried if name in spec.refused)
    for name, field in carried.items():
        nested, within = theirs.get(name), inner(field.annotation)
        if (nested is None) != (within is None):
            yield f"{path}{name}", "shape"
        elif nested is not None and within is not None and nested not in above:
            yield from _compare(api, nested, within, f"{path}{name}.", (*above, nested))


def reached(api: Messages) -> set[str]:
    """Every message that a kind leads to."""
    found: set[str] = set()
    todo = list(SIX)
    while todo:
        message = todo.pop()
        if message not in found:
            found.add(message)
            todo.extend(nested for nested in api[message].values() if nested)
    return found
