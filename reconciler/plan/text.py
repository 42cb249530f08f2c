"""A plan for people at a terminal, in the manner of `terraform plan`. Returns text and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.errors import Diagnostic, Severity
from reconciler.model.plan import Action, Change, FieldChange, Plan
from reconciler.plan.groups import groups, said
from reconciler.plan.summary import summary_line
from reconciler.plan.words import shorten, show_proxies, show_value, visible

_SYMBOLS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-"}
_COLORS = {"+": "\x1b[32m", "~": "\x1b[33m", "-": "\x1b[31m", "!": "\x1b[31m", "bold": "\x1b[1m"}
_RESET = "\x1b[0m"
_LONG = 400


def render_text(plan: Plan, *, color: bool) -> str:
    """The whole plan; ends in the summary line and a newline.

    Changes that several proxies need are shown once, under the names of those proxies; so a proxy's changes may stand in
    several places. Whatever comes from policies or proxies is shown with control characters escaped.

    Args:
        plan: What to show.
        color: Add ANSI colors.
    """
    out: list[str] = []
    for group in groups(plan):
        out += [_paint(f"on {show_proxies(group.proxies)}", "bold", color=color)]
        out += [_paint(f"  {line}", line.lstrip()[:1], color=color) for line in change_lines(group.changes)]
        out += [""]
    for proxy in plan.proxies:
        if proxy.error is not None:
            reason = diagnostic_line(proxy.error)
            out += [_paint(f"! {show_proxies([proxy.proxy])} is unreachable: {reason}", "!", color=color), ""]
    for item, proxies in said(plan):
        where = f", on {show_proxies(proxies)}" if proxies else ""
        symbol = "!" if item.severity is Severity.ERROR else "~"
        out += [_paint(f"{diagnostic_line(item)}{where}", symbol, color=color)]
        out += [f"    {visible(item.hint)}"] if item.hint else []
        out += [""]
    out += [_paint(summary_line(plan), "bold", color=color)]
    return "\n".join(out) + "\n"


def diagnostic_line(item: Diagnostic) -> str:
    """`policies/a.yaml:3:1: error[code]: message`, in one line."""
    place = f"{item.place}: " if item.place else ""
    return visible(f"{place}{item.severity}[{item.code}]: {item.message}")


def diagnostic_text(item: Diagnostic) -> str:
    """A message and, below it, what to do about it; every line safe for a terminal and a log."""
    hint = f"\n    {visible(item.hint)}" if item.hint else ""
    return diagnostic_line(item) + hint


def change_lines(changes: Iterable[Change]) -> Iterator[str]:
    """Changes and, indented, their fields."""
    for change in changes:
        name = shorten(visible(str(change.id)), _LONG)
        yield f"{_SYMBOLS[change.action]} {name} ({change.cause})"
        for item in change.fields:
            yield f"    {_field(change, item)}"


def _field(change: Change, item: FieldChange) -> str:
    path = shorten(visible(item.path), _LONG)
    # Inside an update, None means that the field is absent.
    if change.action is Action.CREATE or (item.old is None and item.new is not None):
        return f"+ {path}: {show_value(item.new)}"
    if change.action is Action.DELETE or item.new is None:
        return f"- {path}: {show_value(item.old)}"
    return f"~ {path}: {show_value(item.old)} -> {show_value(item.new)}"


def _paint(line: str, style: str, *, color: bool) -> str:
    return f"{_COLORS[style]}{line}{_RESET}" if color and style in _COLORS else line
