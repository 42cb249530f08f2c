"""Rows of cells as text for a terminal, and as a table of markdown. Pure; every cell is escaped here, so callers don't."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciler.plan import escape_markdown, visible

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def text_table(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """A line a row, columns two blanks apart; the first row has their names."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(rows[0]))]
    return [
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown
    ]


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The same as markdown."""
    table = [f"| {' | '.join(escape_markdown(cell) for cell in row)} |" for row in rows]
    return [table[0], f"| {' | '.join(['---'] * len(rows[0]))} |", *table[1:]]


def ago(at: str, now: str) -> str:
    """A duration in its largest unit, as people say it: `5s`, `12m`, `3h`, `2d`. Both times are of one clock."""
    seconds = max(0, int((datetime.fromisoformat(now) - datetime.fromisoformat(at)).total_seconds()))
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"
