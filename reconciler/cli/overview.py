"""The fleet at a glance, for `reconcile status`: a row a proxy, narrow enough for a terminal.

Columns that only a daemon can fill are there when one told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler.cli.options import Output
from reconciler.cli.output import print_json, put, say
from reconciler.cli.rollout.words import list_rows, list_text
from reconciler.cli.wellbeing import wellbeing_lines
from reconciler.errors import Diagnostic, Severity
from reconciler.plan import diagnostic_markdown, escape_markdown, visible

_SHORT = 7
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def print_status(document: dict[str, Any], output: Output) -> None:
    """The fleet, a row a proxy."""
    if output is Output.JSON:
        print_json(document)
        return
    rows = _rows(document)
    errors = [
        Diagnostic(**item | {"severity": Severity(item["severity"])})
        for item in (*document["errors"], *document["refused"])
    ]
    last = document["recorded"]
    facts = [
        ("head", document["head"] or "unknown"),
        ("recorded", f"{last['policy_commit']} {last['outcome']}: {last['subject']}" if last else "nothing yet"),
    ]
    daemon = document["daemon"]
    if daemon is not None:
        facts.append(("daemon", _daemon(daemon)))
    unwell = _unwell(document)
    if output is Output.MARKDOWN:
        facts += [("health", line) for line in unwell]
        put(_markdown(facts, rows, errors, list_rows(document)))
        return
    say(errors)
    lines = [f"{name:<8}  {visible(value)}" for name, value in facts]
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(rows[0]))]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    lines += ["", "HEALTH", *map(visible, unwell)] if unwell else []
    lines += ["", list_text(document)] if document["rollouts"] else []
    put("\n".join(lines))


def _unwell(document: Mapping[str, Any]) -> list[str]:
    """What callers have against instances; the table says already who is unreachable."""
    unreachable = [item["proxy"] for item in document["proxies"] if item["state"] == "unreachable"]
    return wellbeing_lines(document["health"], unreachable=unreachable)


def _rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    daemon = document["daemon"]
    extra = ("CONNECTED", "VERIFIED") if daemon is not None else ()
    rows: list[tuple[str, ...]] = [("PROXY", "STATE", "PENDING", "RECORDED", "PROOF", *extra, "WHY")]
    for item in document["proxies"]:
        recorded = item["recorded"] or {"outcome": "-", "proof": "-", "detail": ""}
        told = item["daemon"] or {}
        cells = (_connected(told), _verified(told, str(daemon.get("now")))) if daemon is not None else ()
        fixed = (item["proxy"], item["state"], str(item["pending"]), recorded["outcome"], recorded["proof"])
        rows.append((*fixed, *cells, _why(item, recorded, told)))
    return rows


def _why(item: Mapping[str, Any], recorded: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """What is wrong: why it can't be asked, what it refuses and therefore does not have, or what was recorded."""
    held = (told.get("connection") or {}).get("held") or []
    refuses = f"refuses {held[0]['type']} {held[0]['name']}: {held[0]['words']}" if held else ""
    more = f" (and {len(held) - 1} more)" if len(held) > 1 else ""
    failed = recorded["detail"] if recorded["outcome"] != "applied" else ""
    word = "acked: its own word, it has no admin endpoint" if item.get("by_word") else ""
    return item["reason"] or f"{refuses}{more}" or failed or word


def _connected(told: Mapping[str, Any]) -> str:
    connection = told.get("connection")
    if connection is None:
        return "-"
    return "yes" if connection["connected"] else "no"


def _verified(told: Mapping[str, Any], now: str) -> str:
    at = told.get("verified_at")
    return f"{told['revision'][:_SHORT]} {_ago(at, now)} ago" if at else "-"


def _daemon(daemon: Mapping[str, Any]) -> str:
    last = daemon.get("pass")
    ended = (
        f"last pass {_ago(last['ended'], daemon['now'])} ago ({'+'.join(last['reasons'])})" if last else "no pass yet"
    )
    return f"process {daemon.get('pid')}, {ended}" + (f": {daemon['reason']}" if daemon.get("reason") else "")


def _ago(at: str, now: str) -> str:
    """A duration in its largest unit, as people say it: `5s`, `12m`, `3h`, `2d`. Both times are of the daemon's clock."""
    seconds = max(0, int((datetime.fromisoformat(now) - datetime.fromisoformat(at)).total_seconds()))
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def _markdown(
    facts: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    errors: Sequence[Diagnostic],
    rollouts: Sequence[Sequence[str]],
) -> str:
    return "\n".join(
        [
            *(f"- {name}: {escape_markdown(value)}" for name, value in facts),
            *(diagnostic_markdown(item) for item in errors),
            "",
            *_markdown_table(rows),
            *(["", *_markdown_table(rollouts)] if len(rollouts) > 1 else []),
        ]
    )


def _markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    table = [f"| {' | '.join(escape_markdown(cell) for cell in row)} |" for row in rows]
    return [table[0], f"| {' | '.join(['---'] * len(rows[0]))} |", *table[1:]]
