"""How results reach stdout: one function per thing that is shown, each in every form.

JSON is one document on every path, errors included. In text, what went wrong goes to stderr, beside the log.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from reconciler.cli.options import Output
from reconciler.cycle import Report
from reconciler.errors import Diagnostic, Severity
from reconciler.model.plan import Plan
from reconciler.model.receipt import OutcomeKind
from reconciler.plan import as_json, escape_markdown, render_markdown, render_text

_SCHEMA = 1


def print_report(report: Report, output: Output, *, dry_run: bool) -> None:
    """What a pass did, or would do."""
    plan = report.plan or Plan(commit=report.head, proxies=())
    if output is Output.JSON:
        _json(_report_json(report, plan, dry_run=dry_run))
    elif output is Output.MARKDOWN:
        _markdown(report)
    else:
        _text(report, dry_run=dry_run)


def print_errors(errors: Sequence[Diagnostic], output: Output) -> None:
    """Why a command could not do its work."""
    if output is Output.JSON:
        _json({"schema_version": _SCHEMA, "errors": [item.as_json() for item in errors]})
    elif output is Output.MARKDOWN:
        print(_markdown_list("The command failed", errors))
    else:
        _say(errors)


def print_verdict(found: Sequence[Diagnostic], output: Output) -> None:
    """What `validate` found: its product, so in text too it goes to stdout."""
    errors = [item for item in found if item.severity is Severity.ERROR]
    warnings = [item for item in found if item.severity is Severity.WARNING]
    if output is Output.JSON:
        _json(
            {
                "schema_version": _SCHEMA,
                "errors": [item.as_json() for item in errors],
                "warnings": [item.as_json() for item in warnings],
            }
        )
        return
    summary = f"{_count(len(errors), 'error')}, {_count(len(warnings), 'warning')}"
    if output is Output.MARKDOWN:
        print(_markdown_list(summary, found))
        return
    for item in found:
        print(item)
    print(summary if found else "The policies are valid.")


def print_document(document: dict[str, Any], output: Output) -> None:
    """Envoy configuration, as YAML or JSON."""
    from reconciler.yamldoc import dump

    if output is Output.JSON:
        _json(document)
    else:
        print(dump(document), end="")


def print_status(document: dict[str, Any], output: Output) -> None:
    """The fleet, a row a proxy."""
    if output is Output.JSON:
        _json(document)
        return
    rows = [("PROXY", "STATE", "PENDING", "RECORDED", "PROOF", "WHY")]
    for item in document["proxies"]:
        recorded = item["recorded"] or {"outcome": "-", "proof": "-", "detail": ""}
        why = item["reason"] or (recorded["detail"] if recorded["outcome"] != "applied" else "")
        rows.append((item["proxy"], item["state"], str(item["pending"]), recorded["outcome"], recorded["proof"], why))
    if output is Output.MARKDOWN:
        lines = [" | ".join(escape_markdown(cell) for cell in row) for row in rows]
        print("\n".join(f"| {line} |" for line in (lines[0], " | ".join(["---"] * len(rows[0])), *lines[1:])))
        return
    last = document["recorded"]
    print(f"head      {document['head'] or 'unknown'}")
    print(
        f"recorded  {last['policy_commit']} {last['outcome']}: {last['subject']}" if last else "recorded  nothing yet"
    )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for item in document["errors"]:
        _say([Diagnostic(**item | {"severity": Severity(item["severity"])})])


def _report_json(report: Report, plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    outcomes = [
        {
            "proxy": str(outcome.proxy),
            "outcome": str(outcome.kind),
            "proof": str(outcome.proof),
            "view": outcome.view,
            "detail": outcome.detail,
        }
        for _, outcome in sorted(report.outcomes.items())
    ]
    receipt = report.receipt
    document = as_json(plan)
    return document | {
        "dry_run": dry_run,
        "head": report.head,
        "applied": report.applied if not dry_run else "",
        "outcomes": outcomes,
        "receipt": {"commit": receipt.commit, "subject": receipt.subject} if receipt else None,
        "errors": [*(item.as_json() for item in report.errors), *document["errors"]],
        "seconds": {str(stage): round(seconds, 6) for stage, seconds in report.seconds.items()},
    }


def _text(report: Report, *, dry_run: bool) -> None:
    _say(report.errors)
    if report.plan is None:
        return
    print(render_text(report.plan, color=sys.stdout.isatty()), end="")
    if dry_run:
        return
    for _, outcome in sorted(report.outcomes.items()):
        if outcome.kind is not OutcomeKind.APPLIED:
            print(f"{outcome.proxy.short()}: {outcome.kind}: {outcome.detail}")
    if report.receipt is not None:
        print(f"Recorded as {report.receipt.commit[:10]}: {report.receipt.subject}")


def _markdown(report: Report) -> None:
    if report.errors:
        print(_markdown_list("This commit can't be applied", report.errors))
    if report.plan is not None:
        print(render_markdown(report.plan), end="")


def _markdown_list(title: str, found: Sequence[Diagnostic]) -> str:
    lines = [f"**{escape_markdown(title)}**", ""]
    for item in found:
        place = f"`{item.place}` " if item.place and "`" not in item.place else escape_markdown(item.place)
        hint = f"  \n  {escape_markdown(item.hint)}" if item.hint else ""
        lines.append(f"- {place}{item.severity} `{item.code}`: {escape_markdown(item.message)}{hint}")
    return "\n".join([*lines, ""])


def _say(errors: Sequence[Diagnostic]) -> None:
    for item in errors:
        print(item, file=sys.stderr)


def _json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=True))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
