"""The fleet at a glance, for `reconcile status`: a row a proxy, narrow enough for a terminal.

Columns that only a daemon can fill are there when one told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.cli.options import Output
from reconciler.cli.output import print_json, put, say
from reconciler.cli.registries import doubt_lines, registry_rows
from reconciler.cli.rollout.words import list_rows, list_text
from reconciler.cli.shapes import is_time
from reconciler.cli.tables import ago, markdown_table, text_table
from reconciler.cli.wellbeing import wellbeing_lines
from reconciler.errors import Diagnostic, Severity
from reconciler.plan import diagnostic_markdown, escape_markdown, visible

_SHORT = 7


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
    held = document["held"] or {}
    facts += [("held", held[what]) for what in ("suspended", "frozen") if held.get(what)]
    daemon = document["daemon"]
    if daemon is not None:
        facts.append(("daemon", _daemon(daemon)))
    unwell = _unwell(document)
    if output is Output.MARKDOWN:
        facts += [("health", line) for line in unwell]
        facts += [("registry", line) for line in doubt_lines(document["registries"])]
        put(_markdown(facts, rows, errors, (_registries(document), list_rows(document))))
        return
    say(errors)
    lines = [f"{name:<8}  {visible(value)}" for name, value in facts]
    lines += text_table(rows)
    registries = _registries(document)
    lines += ["", *text_table(registries)] if len(registries) > 1 else []
    lines += map(visible, doubt_lines(document["registries"]))
    lines += ["", "HEALTH", *map(visible, unwell)] if unwell else []
    lines += ["", list_text(document)] if document["rollouts"] else []
    put("\n".join(lines))


def _unwell(document: Mapping[str, Any]) -> list[str]:
    """What callers have against instances; the table says already who is unreachable."""
    unreachable = [item["proxy"] for item in document["proxies"] if item["state"] == "unreachable"]
    return wellbeing_lines(document["health"], unreachable=unreachable)


def _registries(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row a registry; ages are by the clock of whoever asked it."""
    daemon = document["daemon"]
    return registry_rows(document["registries"], now=daemon["now"] if daemon is not None else document["now"])


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
    return f"{told['revision'][:_SHORT]} {ago(at, now)} ago" if at else "-"


def _daemon(daemon: Mapping[str, Any]) -> str:
    last = daemon.get("pass")
    ended = (
        f"last pass {ago(last['ended'], daemon['now'])} ago ({'+'.join(last['reasons'])})" if last else "no pass yet"
    )
    reason = f": {daemon['reason']}" if daemon.get("reason") else ""
    return f"process {daemon.get('pid')}, {ended}{reason}{_unseen(daemon)}"


def _unseen(daemon: Mapping[str, Any]) -> str:
    """Since when Git has not answered the daemon, if it did not the last time; "" from a daemon that doesn't say."""
    match daemon.get("git"):
        case {"answered": answered, "errors": [{"code": str(code)}, *_]}:
            since = f"for {ago(str(answered), daemon['now'])}" if is_time(answered) else "yet"
            return f"; Git has not answered {since} ({code})"
    return ""


def _markdown(
    facts: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    errors: Sequence[Diagnostic],
    more: Iterable[Sequence[Sequence[str]]],
) -> str:
    return "\n".join(
        [
            *(f"- {name}: {escape_markdown(value)}" for name, value in facts),
            *(diagnostic_markdown(item) for item in errors),
            "",
            *markdown_table(rows),
            *(line for table in more if len(table) > 1 for line in ("", *markdown_table(table))),
        ]
    )
