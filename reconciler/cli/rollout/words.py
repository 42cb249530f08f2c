"""The documents of `reconcile rollout` as text for a terminal: plain, narrow, and the same without one. Pure.

Words of others are escaped: none of them may steer a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.plan import visible
from reconciler.rollouts.axes import number
from reconciler.rollouts.chronicle import said

_MARKS = {"done": "[x]", "current": "[>]", "to-come": "[ ]"}
_SHORT = 10
_COMMITS = 15


def list_text(document: Mapping[str, Any]) -> str:
    """A row a rollout."""
    return _table(list_rows(document)) if document["rollouts"] else "There are no rollouts."


def list_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The cells of that, with the names of columns first."""
    rows: list[tuple[str, ...]] = [("ROLLOUT", "PHASE", "STEP", "WEIGHT", "VERIFIED", "WHY / NEXT")]
    for item in document["rollouts"]:
        verified = "yes" if item["verified"] else "-" if item["phase"] in {"Pending", "Succeeded", "Aborted"} else "no"
        ahead = _next(item["next"])
        why = item["reason"] or (ahead if item["next"]["verb"] else item["waiting"] or ahead)
        rows.append((_name(item), item["phase"], _step(item), _percent(item["weight"]), verified, why))
    return rows


def show_text(document: Mapping[str, Any], *, ticking: bool = True) -> str:
    """One rollout.

    Args:
        document: As `shown` makes it.
        ticking: Say how long something takes from now; without it the text changes only when something happens.
    """
    item = document["rollout"]
    verified = f", verified since {_clock(item['verified_at'])}" if item["verified_at"] else ""
    unverified = ", not verified yet" if item["phase"] in {"Progressing", "Paused"} and not item["verified"] else ""
    facts = [
        ("run", item["run"]),
        ("phase", item["phase"]),
        ("step", _step(item)),
        ("weight", f"{item['canary']} {_percent(item['weight'])}{verified}{unverified}"),
        ("reason", item["reason"]),
        ("next", _next(item["next"], ticking=ticking)),
    ]
    evidence = item["evidence"]
    if evidence is not None:
        live = f"{evidence['applied']}/{evidence['proxies']} proxies have {evidence['policy_commit'][:_SHORT]}"
        facts.append(("recorded", f"{_clock(evidence['at'])}: {live}"))
        facts += [("note", evidence["note"])] if evidence["note"] else []
    lines = [visible(f"{_name(item)}: {item['stable']} -> {item['canary']}"), ""]
    lines += [f"{name:<8}  {visible(value)}" for name, value in facts if value]
    lines += [
        "",
        *(visible(f"{_MARKS[step['state']]} {step['step'] + 1:>2}  {step['words']}") for step in item["plan"]),
    ]
    for analysis in item["analyses"]:
        lines += ["", visible(f"analysis {analysis['id']}{' (passed)' if analysis['passed'] else ''}")]
        lines += [_table(list(_metrics(analysis)), indent="  ")]
    lines += ["", *_commits(item)] if item["commits"] else []
    return "\n".join(lines)


def _commits(item: Mapping[str, Any]) -> Iterator[str]:
    """The newest, which is what one looks for; `history` has them all."""
    commits = item["commits"]
    if len(commits) > _COMMITS:
        yield visible(f"and {len(commits) - _COMMITS} earlier: reconcile rollout history {_name(item)}")
    yield _table(
        [(_clock(each["at"]), each["branch"], each["commit"][:_SHORT], each["subject"]) for each in commits[-_COMMITS:]]
    )


def history_text(document: Mapping[str, Any]) -> str:
    """An event a line, with what was measured below it."""
    lines = []
    for event in document["events"]:
        moved = f" [{_percent(event['before'])} -> {_percent(event['after'])}]" if event["after"] is not None else ""
        live = f", live on {event['applied']}/{event['proxies']} proxies" if event["applied"] is not None else ""
        by = f", by {event['by']}" if event["by"] else ""
        what = event["what"] if moved and "weight" in event["what"] else f"{event['what']}{moved}"
        lines.append(
            visible(f"{_clock(event['at'])}  {event['branch']:<6}  {event['commit'][:_SHORT]}  {what}{live}{by}")
        )
        lines += [visible(f"{'':42}{line}") for line in event["measured"]]
    return "\n".join(lines) or "Nothing has happened yet."


def _metrics(analysis: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield ("METRIC", "LAST", "VERDICT", "PASSED", "FAILED", "INCONCLUSIVE", "ERRORS", "REQUESTS", "DETAIL")
    for item in analysis["metrics"]:
        value = "-" if item["value"] is None else f"{number(item['value'])}{_unit(item['unit'])}"
        passed = str(item["passed"]) if item["count"] is None else f"{item['passed']}/{item['count']}"
        requests = "-" if item["min_requests"] is None else f"{item['canary_requests']}/{item['min_requests']}"
        comparison = item["comparison"]
        compared = f"against stable: {comparison['verdict']}, {comparison['detail']}" if comparison is not None else ""
        detail = "; ".join(part for part in (_range(item), item["waiting"] or item["detail"], compared) if part)
        yield (
            item["name"], value, item["outcome"] or "-", passed, _of(item["failed"], item["failure_limit"]),
            _of(item["inconclusive"], item["inconclusive_limit"]), _of(item["errors"], item["consecutive_error_limit"]),
            requests, detail,
        )  # fmt: skip


def _of(count: int, limit: int) -> str:
    """How many of how many that are put up with."""
    return str(count) if limit < 0 else f"{count}/{limit}"


def _range(item: Mapping[str, Any]) -> str:
    unit = _unit(item["unit"])
    ends = [f"{name} {number(item[name])}{unit}" for name in ("min", "max") if item[name] is not None]
    return ", ".join(ends)


def _unit(unit: str) -> str:
    return f" {unit}" if unit.isalpha() else unit


def _next(ahead: Mapping[str, Any], *, ticking: bool = True) -> str:
    words = str(ahead["words"])
    if ahead["due"] is not None:
        left = f" in {said(ahead['seconds'])}" if ahead["seconds"] else " now"
        words += f"{left if ticking else ''}, at {_clock(ahead['due'])}"
    return words + (f" (reconcile rollout {ahead['verb']})" if ahead["verb"] else "")


def _name(item: Mapping[str, Any]) -> str:
    return str(item["name"]) if item["namespace"] == "default" else f"{item['namespace']}/{item['name']}"


def _step(item: Mapping[str, Any]) -> str:
    if item["phase"] == "Pending":
        return f"-/{item['steps']}"
    return f"{min(item['step'] + 1, item['steps'])}/{item['steps']}"


def _percent(weight: float | None) -> str:
    return "-" if weight is None else f"{number(weight)}%"


def _clock(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _table(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(rows[0]))]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown
    )
