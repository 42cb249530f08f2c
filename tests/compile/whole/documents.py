"""Whole meshes, as documents; what of them is valid; and the same written in another order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from reconciler.errors import Severity
from reconciler.policy import Loaded, load
from reconciler.yamldoc import dump
from tests.compile.whole import edges, routing, services
from tests.compile.whole.world import APPS, GATEWAYS, NAMESPACES, Values, World, worlds
from tests.policy.memory import MemoryTree

_MOST_ROUNDS = 6


@st.composite
def whole_meshes(draw: st.DrawFn) -> list[Values]:
    """The documents of a mesh: a Mesh, two gateways, and anything else, some of it a few times."""
    world: World = draw(worlds())
    certified = draw(st.booleans())
    found = [draw(edges.settings(world, certified=certified))]
    found += [draw(services.service_entries(host, number, world)) for number, host in enumerate(world.hosts)]
    ruled = [host for host in world.hosts if bool(host.subsets) or draw(st.booleans())]
    found += [draw(services.destination_rules(host, number)) for number, host in enumerate(ruled)]
    found += [draw(services.wide_rules(number)) for number in range(draw(st.sampled_from([0, 0, 1])))]
    workloads = [draw(services.workload_entries(number)) for number in range(1, draw(st.integers(2, 4)))]
    found += workloads
    names = draw(st.lists(st.sampled_from(["w1", "w2", "w3"]), min_size=1, max_size=2, unique=True))
    found += edges.proxies(workloads, names, certified=certified)
    found += [draw(edges.gateways(*reversed(name.split("/")))) for name in GATEWAYS]
    if any(not host.wildcard for host in world.hosts):
        found += [draw(routing.virtual_services(number, world)) for number in range(draw(st.integers(0, 3)))]
        found += [draw(routing.delegates(name, world)) for name in routing.DELEGATES]
    for namespace in NAMESPACES:
        apps = draw(st.lists(st.sampled_from(["", *APPS]), max_size=2, unique=True))
        found += [draw(edges.sidecars(namespace, app, world)) for app in apps]
    return found


def files_of(documents: Sequence[Values]) -> dict[str, str]:
    """Each document in a file of its own, named by its kind and key."""
    return {path_of(item): dump(item) for item in documents}


def path_of(document: Values) -> str:
    """Where a document lies."""
    meta = document["metadata"]
    return f"policies/{document['kind']}-{meta['namespace']}-{meta['name']}.yaml"


def load_files(files: dict[str, str]) -> Loaded:
    """What these files come to."""
    return load(MemoryTree(files))


def valid(documents: Sequence[Values]) -> tuple[list[Values], Loaded]:
    """What is left when every document with an error is taken away, until there is none.

    Raises:
        AssertionError: Errors remain, and there is no document to blame.
    """
    left = list(documents)
    for _ in range(_MOST_ROUNDS):
        loaded = load_files(files_of(left))
        blamed = {item.file for item in loaded.diagnostics if item.severity is Severity.ERROR}
        if not blamed:
            return left, loaded
        left = [item for item in left if path_of(item) not in blamed]
    raise AssertionError([str(item) for item in loaded.diagnostics if item.severity is Severity.ERROR])


def rearranged(documents: Sequence[Values], seed: int) -> dict[str, str]:
    """The same documents with the keys of every mapping in another order, in other files, in another order."""
    order = random.Random(seed)  # noqa: S311 -- an order, not a secret
    shuffled = order.sample(list(documents), len(documents))
    files: dict[str, list[str]] = {}
    for item in shuffled:
        files.setdefault(f"policies/{order.choice('abc')}/{order.choice('xyz')}.yaml", []).append(
            dump(_turned(item, order))
        )
    return {path: "---\n".join(files[path]) for path in order.sample(sorted(files), len(files))}


def _turned(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: _turned(value[key], order) for key in order.sample(list(value), len(value))}
    return [_turned(item, order) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to one document: taken away or put back, or its routes given other weights or a timeout."""

    number: int
    action: str


def edits() -> st.SearchStrategy[list[list[Edit]]]:
    """Commits of one or two changes each; most change rules, as most commits do."""
    actions = st.sampled_from(["weights", "weights", "timeout", "timeout", "presence"])
    one = st.builds(Edit, st.integers(0, 40), actions)
    return st.lists(st.lists(one, min_size=1, max_size=2), min_size=1, max_size=4)


def applied(documents: Sequence[Values], step: Sequence[Edit]) -> list[Values]:
    """The documents after some changes; what was taken away is still there, marked `gone`."""
    out = list(documents)
    for edit in step:
        routed = [index for index, item in enumerate(out) if "http" in item["spec"]]
        among = list(range(len(out))) if edit.action == "presence" or not routed else routed
        index = among[edit.number % len(among)]
        item = out[index]
        if edit.action == "presence" or not routed:
            out[index] = {**item, "gone": not item.get("gone", False)}
        else:
            rules = [_edited(rule, edit) for rule in item["spec"]["http"]]
            out[index] = {**item, "spec": {**item["spec"], "http": rules}}
    return out


def _edited(rule: Values, edit: Edit) -> Values:
    if "route" not in rule:
        return rule
    if edit.action == "timeout":
        return {**rule, "timeout": f"{edit.number + 1}s"}
    shares = [{**share, "weight": (edit.number + 7 * place) % 97 + 1} for place, share in enumerate(rule["route"])]
    return {**rule, "route": shares}
