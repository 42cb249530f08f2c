"""How results reach stdout: one function per thing that is shown, each in every form.

JSON is one document on every path, errors included. In text, what went wrong goes to stderr, beside the log. Words of others
(names, paths, Git's and Envoy's messages) are escaped in every form: none of them may steer a terminal or become markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.cli.options import Output
from reconciler.cycle import Report
from reconciler.errors import Diagnostic, PermanentError, Severity
from reconciler.model.plan import Plan
from reconciler.model.receipt import OutcomeKind
from reconciler.plan import (
    as_json,
    diagnostic_markdown,
    diagnostic_text,
    digest,
    escape_markdown,
    render_markdown,
    render_text,
    visible,
)

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """A result as text, before it is written anywhere: it may be shown by another process than the one that made it.

    Attributes:
        out: For stdout, all of it.
        err: For stderr: complaints, in text output only.
    """

    out: str = ""
    err: str = ""


class OutputError(PermanentError):
    """Standard output can't be written: a full disk behind it, for example."""

    default_code = "output"


def shown_report(report: Report, output: Output, *, dry_run: bool, color: bool) -> Shown:
    """What a pass did, or would do, as text; `color` is for people's terminals."""
    if output is Output.JSON:
        plan = report.plan or Plan(commit=report.head, proxies=())
        return Shown(_dumped(_report_json(report, plan, dry_run=dry_run)))
    if output is Output.MARKDOWN:
        return Shown(_markdown(report))
    return Shown(_text(report, dry_run=dry_run, color=color), complaints(report.errors))


def show(shown: Shown) -> None:
    """Write a result: complaints first, as they would have come."""
    if shown.err:
        print(shown.err, end="", file=sys.stderr)
    if shown.out:
        put(shown.out, end="")


def print_errors(errors: Sequence[Diagnostic], output: Output) -> None:
    """Why a command could not do its work."""
    if output is Output.JSON:
        print_json({"schema_version": _SCHEMA, "errors": [item.as_json() for item in errors]})
    elif output is Output.MARKDOWN:
        put(_markdown_list("The command failed", errors))
    else:
        say(errors)


def put(text: str, *, end: str = "\n") -> None:
    """Write to stdout, all of it and now: what can't be written must not be found out when the process has ended."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output can't be written: {error.strerror}") from error


def say(errors: Sequence[Diagnostic]) -> None:
    """Complaints, for people and logs, on stderr."""
    print(complaints(errors), end="", file=sys.stderr)


def complaints(errors: Sequence[Diagnostic]) -> str:
    """Complaints as lines."""
    return "".join(f"{diagnostic_text(item)}\n" for item in errors)


def print_verdict(
    found: Sequence[Diagnostic], output: Output, *, rollouts: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """What `validate` found: its product, so in text too it goes to stdout.

    Args:
        found: In order.
        output: The form.
        rollouts: With `--expand`, what rollouts expand to; for JSON, which is one document.
    """
    errors = [item for item in found if item.severity is Severity.ERROR]
    warnings = [item for item in found if item.severity is Severity.WARNING]
    if output is Output.JSON:
        print_json(
            {
                "schema_version": _SCHEMA,
                "errors": [item.as_json() for item in errors],
                "warnings": [item.as_json() for item in warnings],
            }
            | ({"rollouts": list(rollouts)} if rollouts is not None else {})
        )
        return
    summary = f"{_count(len(errors), 'error')}, {_count(len(warnings), 'warning')}"
    if output is Output.MARKDOWN:
        put(_markdown_list(summary, found))
        return
    put("".join(f"{diagnostic_text(item)}\n" for item in found) + (summary if found else "The policies are valid."))


def print_document(document: dict[str, Any], output: Output) -> None:
    """Envoy configuration, as YAML or JSON."""
    from reconciler.yamldoc import dump

    if output is Output.JSON:
        print_json(document)
    else:
        put(dump(document), end="")


def print_documents(name: str, documents: Sequence[dict[str, Any]], output: Output) -> None:
    """Several documents: one after the other as YAML, or a list under this name as JSON."""
    from reconciler.yamldoc import dump

    if output is Output.JSON:
        print_json({name: list(documents)})
    else:
        put("---\n".join(dump(document) for document in documents), end="")


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
        "rollouts": [
            {
                "rollout": str(item.decision.rollout),
                "move": str(item.decision.move),
                "phase": str(item.decision.status.phase),
                "step": item.decision.status.step,
                "reason": item.decision.reason,
                "commit": item.commit,
                "subject": item.subject,
            }
            for item in report.taken
        ],
        "receipt": {"commit": receipt.commit, "subject": receipt.subject} if receipt else None,
        "errors": [*(item.as_json() for item in report.errors), *document["errors"]],
        "seconds": {str(stage): round(seconds, 6) for stage, seconds in report.seconds.items()},
    }


def _text(report: Report, *, dry_run: bool, color: bool) -> str:
    if report.plan is None:
        return ""
    lines = [render_text(report.plan, color=color)]
    if dry_run and not report.plan.empty:
        lines += [f"Digest: {digest(report.plan)}\n"]
    if not dry_run:
        lines += [f"Committed {item.commit[:10]}: {visible(item.subject)}\n" for item in report.taken]
        lines += [f"{line}\n" for line in _unapplied(report)]
        if report.receipt is not None:
            lines += [f"Recorded as {report.receipt.commit[:10]}: {visible(report.receipt.subject)}\n"]
    return "".join(lines)


def _unapplied(report: Report) -> list[str]:
    return [
        visible(f"{key.short()}: {outcome.kind}: {outcome.detail}")
        for key, outcome in sorted(report.outcomes.items())
        if outcome.kind is not OutcomeKind.APPLIED
    ]


def _markdown(report: Report) -> str:
    parts = [_markdown_list("This commit can't be applied", report.errors)] if report.errors else []
    parts += [render_markdown(report.plan)] if report.plan is not None else []
    parts += [f"- {escape_markdown(line)}\n" for line in _unapplied(report)]
    return "\n".join(parts)


def _markdown_list(title: str, found: Sequence[Diagnostic]) -> str:
    return "\n".join([f"**{escape_markdown(title)}**", "", *(diagnostic_markdown(item) for item in found), ""])


def print_json(document: dict[str, Any]) -> None:
    """One document."""
    put(_dumped(document), end="")


def _dumped(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
