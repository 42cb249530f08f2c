"""What `reconcile daemon --print-config` prints: every setting that is in force and where it comes from, as a settings file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.cli.configuration.resolving import InForce
from reconciler.gitrepo.location import redacted
from reconciler.plan import visible
from reconciler.yamldoc import dump


def shown(found: Mapping[str, InForce]) -> str:
    """A settings file that says all of it, with the source of each value beside it. URLs are without their passwords."""
    lines: list[str] = []
    before: tuple[str, ...] = ()
    for item in found.values():
        path = tuple(item.setting.key.split("."))
        lines += [f"{'  ' * depth}{path[depth]}:" for depth in _opened(before[:-1], path[:-1])]
        lines += _value(item, depth=len(path) - 1, name=path[-1])
        before = path
    return "\n".join(lines) + "\n"


def _opened(before: tuple[str, ...], now: tuple[str, ...]) -> range:
    """The sections that begin here."""
    same = 0
    while same < min(len(before), len(now)) and before[same] == now[same]:
        same += 1
    return range(same, len(now))


def _value(item: InForce, *, depth: int, name: str) -> Iterator[str]:
    value = item.setting.kind.write(item.value)
    if isinstance(value, str):
        value = redacted(value)
    indent = "  " * depth
    if value is None:  # the file has no word for what is absent
        yield f"{indent}# {name}: none  # {item.source}"
        return
    written = dump({name: value}).rstrip("\n").split("\n")
    written[0] += f"  # {visible(item.source)}"
    yield from (f"{indent}{line}" for line in written)
