"""Field-level differences of two resources: what a reader of a plan sees inside an update.

Between `identity` and `diff`. The only module of the product that uses deepdiff, and it loads it only when something
differs (140 ms once). deepdiff compares lists by position, so lists become mappings by identity first, and equal parts
are taken out, because deepdiff walks them at length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from reconciler.model import protos
from reconciler.model.plan import Action, FieldChange
from reconciler.model.resource import Resource, ResourceType
from reconciler.plan import endpoints
from reconciler.plan.identity import UNORDERED, name_elements

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_REMEMBERED = 10_000
_READ = 500


class Item(str):
    """A step into a list: the element's name. A plain `str` is a step into a message or a map."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs between two JSON-like trees.

    Attributes:
        steps: From the root. A list whose order differs ends in its name and `order`, with names for values.
        action: Whether the value appears, changes or goes.
        order: Whether it is a list's order.
    """

    steps: tuple[str, ...]
    action: Action
    old: Any
    new: Any
    order: bool = False


def differences(old: Any, new: Any, *, every_order: bool = False) -> tuple[Difference, ...]:
    """All differences and nothing else, sorted by steps; none for equal trees.

    Elements of lists are told apart by identity. A whole subtree that appears or goes is one difference. The order of a
    list is reported if taking out what goes and appending what comes doesn't give the new order, unless it is one of
    `identity.UNORDERED`.

    Args:
        old: A JSON value.
        new: A JSON value.
        every_order: Report the order of unordered lists too.
    """
    found: list[Difference] = []
    pair = _align(old, new, (), found, every_order=every_order)
    found.extend(_walk(*pair))
    return tuple(sorted(found, key=lambda item: (item.steps, item.action)))


def _walk(old: Any, new: Any) -> Iterator[Difference]:
    if _same(old, new):
        return
    from deepdiff import DeepDiff  # noqa: PLC0415 -- see the module docstring
    from deepdiff.helper import notpresent  # noqa: PLC0415

    # By default deepdiff skips keys like `__x`, and reports a whole mapping as changed when few of its keys are shared.
    tree = DeepDiff(old, new, view="tree", ignore_private_variables=False, threshold_to_diff_deeper=0)
    for levels in tree.values():
        for level in levels:
            steps = tuple(level.path(output_format="list"))
            if level.t1 is notpresent:
                yield Difference(steps, Action.CREATE, None, level.t2)
            elif level.t2 is notpresent:
                yield Difference(steps, Action.DELETE, level.t1, None)
            else:
                yield Difference(steps, Action.UPDATE, level.t1, level.t2)


def _same(old: Any, new: Any) -> bool:
    # `==` would take True for 1.
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def _align(
    old: Any, new: Any, steps: tuple[str, ...], found: list[Difference], *, every_order: bool
) -> tuple[Any, Any]:
    """Both trees with lists as mappings and without what is equal; order differences go to `found`."""
    if isinstance(old, dict) and isinstance(new, dict):
        left, right = dict(old), dict(new)
    elif isinstance(old, list) and isinstance(new, list):
        names = name_elements(old, new)
        left = {Item(name): value for name, value in zip(names.old, old, strict=True)}
        right = {Item(name): value for name, value in zip(names.new, new, strict=True)}
        ordered = every_order or not steps or steps[-1] not in UNORDERED
        if ordered and not names.positional and not _follows(names.old, names.new):
            found.append(
                Difference((*steps, "order"), Action.UPDATE, list(names.old), list(names.new), order=True),
            )
    else:
        return old, new
    for key in [key for key in left if key in right]:
        if _same(left[key], right[key]):
            del left[key], right[key]
        else:
            left[key], right[key] = _align(left[key], right[key], (*steps, key), found, every_order=every_order)
    return left, right


def _follows(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether removing what goes and appending what comes gives the new order."""
    stay, had = set(new), set(old)
    return [name for name in old if name in stay] + [name for name in new if name not in had] == list(new)


def render_path(steps: tuple[str, ...]) -> str:
    """`virtual_hosts[reviews].routes[primary].weighted_clusters[v2].weight`.

    Two levels that carry no information are left out: a route's `route` and a split's `clusters`.
    """
    out = ""
    for index, step in enumerate(steps):
        if isinstance(step, Item) or not _IDENTIFIER.match(step):
            out += f"[{step}]"
        elif not _silent(steps, index):
            out += f".{step}" if out else step
    return out


def _silent(steps: tuple[str, ...], index: int) -> bool:
    before = steps[max(0, index - 2) : index]
    after = steps[index + 1 : index + 2]
    if not after:
        return False
    if steps[index] == "route":
        return before[:1] == ("routes",) and isinstance(before[-1], Item)
    return steps[index] == "clusters" and before[-1:] == ("weighted_clusters",) and isinstance(after[0], Item)


@dataclass(frozen=True, slots=True)
class Differ:
    """Field changes of updated resources, remembered by the versions of both.

    Keep one for as long as the process lives: members of a fleet that change alike are compared once.
    """

    _memory: dict[tuple[str, str], tuple[FieldChange, ...]] = field(default_factory=dict)
    _read: dict[str, Any] = field(default_factory=dict)

    def fields(self, old: Resource, new: Resource) -> tuple[FieldChange, ...]:
        """What differs inside, sorted by path; empty only if the versions are equal.

        64-bit integers are strings, as in protobuf's JSON. A difference that has no field (the encoding alone) is one
        change of `(content)`, with the sizes for values: an update never comes without a line that says what.
        """
        if old.version == new.version:
            return ()
        key = (old.version, new.version)
        if key not in self._memory:
            if len(self._memory) >= _REMEMBERED:
                self._memory.clear()
            self._memory[key] = _fields(old, new, self._dict)
        return self._memory[key]

    def _dict(self, item: Resource) -> Any:
        """A resource to read. What is new in one pass is old in the next, so some are kept; treated as immutable."""
        if item.version not in self._read:
            if len(self._read) >= _READ:
                self._read.clear()
            self._read[item.version] = protos.to_dict(protos.decode(item))
        return self._read[item.version]


def _fields(old: Resource, new: Resource, read: Callable[[Resource], Any]) -> tuple[FieldChange, ...]:
    if new.id.type is ResourceType.RUNTIME:
        return (FieldChange("value", runtime_value(old), runtime_value(new)),)
    if new.id.type is ResourceType.ENDPOINTS and (many := endpoints.summary(old, new)) is not None:
        return (many,)
    opaque = FieldChange("(content)", f"{len(old.body)} bytes", f"{len(new.body)} bytes")
    try:
        before, after = read(old), read(new)
    except (DecodeError, json_format.Error, TypeError):
        return (opaque,)
    found = differences(before, after) or differences(before, after, every_order=True)
    fields = (FieldChange(render_path(item.steps), item.old, item.new) for item in found)
    return tuple(sorted(fields, key=lambda item: item.path)) or (opaque,)


def runtime_value(item: Resource) -> int | str:
    """The value of a runtime key: an integer where it is one, else its text."""
    text = item.body.decode("utf-8", "replace")
    return int(text) if _INTEGER.match(text) else text
