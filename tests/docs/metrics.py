"""The tables of docs/metrics.md, from the metrics and the rules themselves: `python -m tests.docs.metrics` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reconciler.daemon.metrics import FAMILIES
from reconciler.yamldoc import load

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "metrics.md"
MONITORING = TOP / "docs" / "monitoring"
ALERTS = MONITORING / "reconciler-alerts.yaml"


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    (document,) = load(ALERTS.read_bytes())
    return [dict(rule) for group in document["groups"] for rule in group["rules"]]


def current(text: str) -> str:
    """The page with its tables as they should be."""
    metrics = [
        (f"`{item.name}`", str(item.form), ", ".join(f"`{label}`" for label in item.labels), item.means, item.series)
        for item in FAMILIES
    ]
    alerts = [
        (f"`{rule['alert']}`", rule["labels"]["severity"], rule["for"], _plain(rule["annotations"]["summary"]))
        for rule in rules()
    ]
    text = _put(text, "metrics", ("metric", "form", "labels", "meaning", "series"), metrics)
    return _put(text, "alerts", ("rule", "severity", "after", "says"), alerts)


def _plain(summary: str) -> str:
    """A summary without Prometheus' templates: what they stand for."""
    return re.sub(r"\{\{ \$(?:labels\.)?(\w+)[^}]*\}\}", r"*\1*", summary)


def _put(text: str, name: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}{table}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
