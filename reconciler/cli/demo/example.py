"""The shipped example, moved to free ports and private folders, and the edits a person makes to it.

Every edit is a splice of single values, as all of the product's edits are, so the comments and the layout of the files stay.
Pure: bytes in, bytes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import BugError
from reconciler.model.origin import FieldPath
from reconciler.yamldoc import Edit, load, splice

_SUFFIXES = (".yaml", ".yml")
_LOOPBACK = "127.0.0.1:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are on this stage.

    Attributes:
        port: The free port that stands for one of the example's.
        admin: Address of a proxy's admin endpoint, by the proxy's name.
        directory: A proxy's files directory, by the proxy's name.
    """

    port: Callable[[int], int]
    admin: Callable[[str], str]
    directory: Callable[[str], str]


def moved(files: Mapping[str, bytes], places: Places) -> dict[str, bytes]:
    """The same policies with every fixed port, socket and folder of this machine replaced; other files as they are.

    Equal ports become equal ports. Ports of services stay: they are names inside the mesh, which nothing binds.
    """
    out: dict[str, bytes] = {}
    for name, text in files.items():
        edits = [] if not name.endswith(_SUFFIXES) else list(_edits(load(text, file=name), places))
        out[name] = splice(text, edits) if edits else text
    return out


def weights_of(text: bytes, *, service: str = "reviews", rule: str = "primary") -> dict[str, float]:
    """The weights, by subset, in one rule of a VirtualService of a file; none if it has no such rule."""
    return {subset: value for _, _, subset, value in _shares(text, service, rule)}


def weigh(text: bytes, weights: Mapping[str, int], *, service: str = "reviews", rule: str = "primary") -> bytes:
    """A file with other weights, by subset, in one rule of a VirtualService.

    Raises:
        BugError: The file has no such rule, or the rule has no such subset.
    """
    edits = [
        Edit(index, path, weights[subset])
        for index, path, subset, _ in _shares(text, service, rule)
        if subset in weights
    ]
    if len(edits) != len(weights):
        raise BugError(f"the example has no weights for {', '.join(sorted(weights))} in {service}, rule {rule}")
    return splice(text, edits)


def succeeded_by(text: bytes, old: str, new: str) -> bytes:
    """The file of a split with another subset in the place of one that has no traffic any more: the first that names it."""
    return text.replace(f"subset: {old}".encode(), f"subset: {new}".encode(), 1)


def next_version(text: bytes) -> bytes:
    """One more instance of a service, from the shipped file of its `v1`: as `v2`, on the next ports."""
    text = re.sub(rb"\b(9\d\d)1\b", rb"\g<1>2", text)
    return re.sub(rb"(-|version: )v1\b", rb"\g<1>v2", text)


def _shares(text: bytes, service: str, rule: str) -> Iterator[tuple[int, FieldPath, str, float]]:
    """Of each destination in a rule: its document, where its weight is, its subset and its weight."""
    for index, document in enumerate(load(text)):
        if not isinstance(document, dict) or (document.get("kind"), _name(document)) != ("VirtualService", service):
            continue
        for number, http in enumerate(document["spec"].get("http", ())):
            if http.get("name") != rule:
                continue
            for place, share in enumerate(http["route"]):
                path: FieldPath = ("spec", "http", number, "route", place, "weight")
                yield index, path, str(share["destination"].get("subset", "")), float(share.get("weight", 0))


def _edits(documents: tuple[Any, ...], places: Places) -> Iterator[Edit]:
    for index, document in enumerate(documents):
        if isinstance(document, dict):
            find = _BY_KIND.get(str(document.get("kind")), _nothing)
            for path, value in find(document.get("spec") or {}, _name(document), places):
                yield Edit(index, ("spec", *path), value)


_Found = Iterator[tuple[FieldPath, str | int]]


def _nothing(_spec: Any, _name: str, _places: Places) -> _Found:
    yield from ()


def _workload_entry(spec: Any, _name: str, places: Places) -> _Found:
    for port, number in spec.get("ports", {}).items():
        yield ("ports", port), places.port(number)


def _service_entry(spec: Any, name: str, places: Places) -> _Found:
    for index, endpoint in enumerate(spec.get("endpoints", ())):
        for path, value in _workload_entry(endpoint, name, places):
            yield ("endpoints", index, *path), value


def _gateway(spec: Any, _name: str, places: Places) -> _Found:
    for index, server in enumerate(spec.get("servers", ())):
        yield ("servers", index, "port", "number"), places.port(server["port"]["number"])


def _sidecar(spec: Any, _name: str, places: Places) -> _Found:
    for side in ("ingress", "egress"):
        for index, listener in enumerate(spec.get(side, ())):
            if "port" in listener:
                yield (side, index, "port", "number"), places.port(listener["port"]["number"])
            application = listener.get("defaultEndpoint", "")
            if application.startswith(_LOOPBACK):
                port = places.port(int(application.removeprefix(_LOOPBACK)))
                yield (side, index, "defaultEndpoint"), f"{_LOOPBACK}{port}"


def _proxy(spec: Any, name: str, places: Places) -> _Found:
    yield ("admin",), places.admin(name)
    if "files" in spec["push"]:
        yield ("push", "files", "directory"), places.directory(name)


_BY_KIND: Mapping[str, Callable[[Any, str, Places], _Found]] = {
    "WorkloadEntry": _workload_entry,
    "ServiceEntry": _service_entry,
    "Gateway": _gateway,
    "Sidecar": _sidecar,
    "Proxy": _proxy,
}


def _name(document: Mapping[str, Any]) -> str:
    return str((document.get("metadata") or {}).get("name", ""))
