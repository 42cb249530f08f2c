"""What each field of the six kinds changes: meshes that use it, compiled with it and without it.

`tests/docs/meshes/*.yaml` hold the meshes. `services.yaml` is part of every one; each document of `policies.yaml` is a
DestinationRule that makes a mesh of its own with one caller, and its policy is also tried on a subset and on a port.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.compile import Compiled, Prototypes, compile_mesh
from reconciler.errors import Severity
from reconciler.model.protos import decode, to_dict
from reconciler.model.services import declared
from reconciler.model.spec import Spec
from reconciler.policy.documents import read_file
from reconciler.policy.kinds import ISTIO
from reconciler.yamldoc import load
from tests.compile.meshes import house_templates, mesh_of
from tests.docs.fields import shape
from tests.docs.istio import SIX

MESHES = Path(__file__).parent / "meshes"
_SERVICES, _POLICIES = "services.yaml", "policies.yaml"
_CALLER = {"name": "b-1"}
_OF_A_PORT = ("loadBalancer", "connectionPool", "outlierDetection", "tls")

Document = dict[str, Any]

_GONE = object()


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a mesh says something in a field.

    Attributes:
        mesh: Its documents.
        document: Which of them.
        steps: From the spec to the field: keys and indices.
    """

    mesh: tuple[Document, ...]
    document: int
    steps: tuple[str | int, ...]

    def variants(self) -> Iterator[Document]:
        """The document without the field, and with other values, as far as users may write it so.

        Where they may write it in one way only, it is the document without the field even so, if the model has it optional.
        """
        found = [self._with(other) for other in (_GONE, *_others(self._at(self.steps)))]
        any_is_valid = False
        for document in found:
            if valid(document):
                any_is_valid = True
                yield document
        if not any_is_valid and _has_shape(found[0]):
            yield found[0]

    def _with(self, other: Any) -> Document:
        *above, last = self.steps
        document = deepcopy(self.mesh[self.document])
        within = document["spec"]
        for step in above:
            within = within[step]
        if other is _GONE:
            del within[last]
        else:
            within[last] = other
        return document

    def _at(self, steps: Sequence[str | int]) -> Any:
        within: Any = self.mesh[self.document]["spec"]
        for step in steps:
            within = within[step]
        return within


def valid(document: Document) -> bool:
    """Whether users may write it."""
    text = json.dumps({"apiVersion": f"{ISTIO}/v1", **document})
    found = read_file(text.encode(), file="mesh.yaml").diagnostics
    return all(item.severity is not Severity.ERROR for item in found)


def _has_shape(document: Document) -> bool:
    """Whether the model alone takes it."""
    try:
        mesh_of(json.dumps(document))
    except ValidationError:
        return False
    return True


def _others(value: Any) -> Iterator[Any]:
    """Values beside this one, one of which is as good for any field that is required."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value + 7, 65537)
        case str():
            yield from (f"{value}-other", f"1{value}", "TCP", "HTTPS", "SIMPLE", "UNKNOWN", "STATIC")
        case [first, *_]:
            yield from ([first], [f"other.{first}"], [f"./{first}"])
        case {}:
            yield dict(zip(value, reversed(value.values()), strict=True))


def leaves(spec: type[Spec], path: str = "", above: tuple[type[Spec], ...] = ()) -> Iterator[str]:
    """Every field that holds a value and no other fields, as docs/istio-api.md writes it."""
    for field in spec.model_fields.values():
        within, steps, _ = shape(field.annotation)
        here = f"{path}{field.alias}"
        if not (isinstance(within, type) and issubclass(within, Spec)):
            yield here
        elif within not in above:
            yield from leaves(within, f"{here}{steps}.", (*above, spec))


def uses(spec: type[Spec], value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every such field of a spec that a document says, with the steps to it."""
    fields = {field.alias: field for field in spec.model_fields.values()}
    for name, item in value.items():
        within, steps, _ = shape(fields[name].annotation)
        here = f"{path}{name}"
        if not (isinstance(within, type) and issubclass(within, Spec)):
            yield here, (name,)
            continue
        for at, nested in _elements(item, steps):
            for found, below in uses(within, nested, f"{here}{steps}."):
                yield found, (name, *at, *below)


def _elements(value: Any, steps: str) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The objects in a list or a mapping."""
    if not steps:
        yield (), value
    else:
        items = value.items() if steps == ".NAME" else enumerate(value)
        yield from (((key,), item) for key, item in items)


@cache
def by_field() -> Mapping[tuple[str, str], Sequence[Use]]:
    """By kind and field, everywhere it is used: first where it is meant to be tried, then in what every mesh has."""
    found: dict[tuple[str, str], list[Use]] = {}
    for mesh in meshes():
        for number, document in enumerate(mesh):
            if document["kind"] in SIX:
                for path, steps in uses(SIX[document["kind"]], document["spec"]):
                    found.setdefault((document["kind"], path), []).append(Use(mesh, number, steps))
    common = len(_documents(_SERVICES))
    return {item: sorted(places, key=lambda use: use.document < common) for item, places in found.items()}


def meshes() -> Iterator[tuple[Document, ...]]:
    """All of them."""
    everything = _documents(_SERVICES)
    for path in sorted(MESHES.glob("*.yaml")):
        if path.name == _POLICIES:
            routes, *rules = _documents(_POLICIES)
            services = [document for document in everything if document["kind"] != "Proxy"]
            (caller,) = (
                document for document in everything if document["kind"] == "Proxy" and document["metadata"] == _CALLER
            )
            for rule in rules:
                yield from ((*services, caller, routes, placed) for placed in _placed(rule))
        elif path.name != _SERVICES:
            yield (*everything, *_documents(path.name))


def _documents(name: str) -> tuple[Document, ...]:
    return tuple(load((MESHES / name).read_bytes()))


def _placed(rule: Document) -> Iterator[Document]:
    """A rule's policy for all endpoints, for a subset, and for one port of both."""
    policy = rule["spec"]["trafficPolicy"]
    of_port = {name: block for name, block in policy.items() if name in _OF_A_PORT}
    ported = {"portLevelSettings": [{"port": {"number": number}, **of_port} for number in (80, 81)]}
    for placed in (policy, ported) if of_port else (policy,):
        yield {**rule, "spec": {**rule["spec"], "trafficPolicy": placed, "subsets": [{"name": "v1"}]}}
        yield {**rule, "spec": {"host": rule["spec"]["host"], "subsets": [{"name": "v1", "trafficPolicy": placed}]}}


def effect(use: Use) -> bool:
    """Whether what is compiled, or what is said about it, differs without the field or with another value."""
    return any(_compile(_changed(use, variant)) != compiled(use.mesh) for variant in use.variants())


def _changed(use: Use, variant: Document) -> Sequence[Document]:
    return [variant if number == use.document else item for number, item in enumerate(use.mesh)]


def compiled(mesh: tuple[Document, ...]) -> Compiled:
    """A mesh as it stands."""
    return _compiled(json.dumps(mesh))


@cache
def _compiled(mesh: str) -> Compiled:
    return _compile(json.loads(mesh))


def _compile(documents: Sequence[Document]) -> Compiled:
    mesh = mesh_of(*(json.dumps(document) for document in documents))
    return compile_mesh(mesh, declared(mesh), _prototypes())


@cache
def _prototypes() -> Prototypes:
    return Prototypes.parse(house_templates())


def touched(use: Use) -> Iterator[frozenset[str]]:
    """For each variant, the names of Envoy's fields on the way to every value that differs."""
    before = compiled(use.mesh)
    for variant in use.variants():
        after = _compile(_changed(use, variant))
        one, other = _values(before, after), _values(after, before)
        differing = {path for path in one.keys() | other.keys() if one.get(path, _GONE) != other.get(path, _GONE)}
        yield frozenset(step for path in differing for step in path)


def _values(these: Compiled, those: Compiled) -> dict[tuple[str, ...], list[Any]]:
    """The values of the resources that the others have not, by the names of the fields that lead to them."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for key, view in these.views.items():
        for id_, resource in view.resources.items():
            if resource != those.views[key].resources.get(id_):
                for path, value in _walk(to_dict(decode(resource))):
                    found.setdefault((str(key), str(id_), *path), []).append(value)
    return found


def _walk(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    match value:
        case dict() if value:
            for name, item in value.items():
                yield from _walk(item, *path, name)
        case [*items] if items:
            for item in items:
                yield from _walk(item, *path)
        case _:
            yield path, value
