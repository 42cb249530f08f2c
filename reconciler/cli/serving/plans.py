"""What the newest pass over the whole fleet found to do, and what of that waits for a person: the document of `GET /v1/plan`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.clock import rfc3339
from reconciler.model.receipt import OutcomeKind

if TYPE_CHECKING:
    from reconciler.cycle import Report
    from reconciler.daemon import LastPass, State
    from reconciler.model.receipt import Outcome

_CHANGES, _FIELDS, _VALUE = 300, 40, 400
"""Changes of a plan, fields of a change and characters of a value that are shown; the rest is counted."""


class Plans:
    """Makes the document once for each pass.

    Args:
        state: The daemon's, at this instant.
    """

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self._made: tuple[LastPass, Mapping[str, Any]] | None = None

    def plan(self) -> Mapping[str, Any]:
        """The plan.

        Raises:
            NotReadyError: The first pass has not ended.
        """
        from reconciler.web import NotReadyError

        last = self._state().last
        if last is None:
            raise NotReadyError("the first pass has not ended", hint="ask again in a moment")
        made = self._made
        if made is None or made[0] is not last:
            self._made = made = (last, _document(last))
        return made[1]


def _document(last: LastPass) -> dict[str, Any]:
    from reconciler.plan.jsonform import as_json

    report = last.report
    plan = as_json(report.plan) if report.plan is not None else {}
    outcomes = {str(key): _outcome(item) for key, item in report.outcomes.items()}
    left = _CHANGES
    proxies = []
    for item in plan.get("proxies", ()):
        changes = item["changes"][:left]
        left -= len(changes)
        proxies.append(
            item | {
                "outcome": outcomes.get(item["proxy"]),
                "changes": [_bounded(change) for change in changes],
                "more": len(item["changes"]) - len(changes),
            }
        )  # fmt: skip
    refused = plan.get("refused", [])
    return {
        "schema_version": 1,
        "at": rfc3339(last.ended, timespec="auto"),
        "head": report.head,
        "applied": report.applied,
        "digest": plan.get("digest"),
        "summary": plan.get("summary"),
        "state": _state(report),
        "proxies": [item for item in proxies if item["changes"] or item["more"] or not item["reachable"]],
        "refused": refused,
        "acknowledge": [
            {"code": code, "trailer": f"Reconcile-Allow: {code}", "command": f"reconcile --allow {code}"}
            for code in sorted({item["code"] for item in refused})
        ],
        "errors": [item.as_json() for item in report.errors] + plan.get("errors", []),
        "warnings": plan.get("warnings", []),
        "again": report.again,
    }


def _state(report: Report) -> str:
    """What became of it: `unusable` head, `refused` by a guard, `waiting` for a proxy or left as it is, `done`, or `nothing` to do."""
    if report.errors:
        return "unusable"
    if report.plan is not None and report.plan.refused:
        return "refused"
    if report.pending or any(item.kind is not OutcomeKind.APPLIED for item in report.outcomes.values()):
        return "waiting"
    return "done" if report.plan is not None and not report.plan.empty else "nothing"


def _outcome(found: Outcome) -> dict[str, Any]:
    return {"kind": str(found.kind), "proof": str(found.proof), "detail": found.detail[:_VALUE], "pushed": found.pushed}


def _bounded(change: Mapping[str, Any]) -> dict[str, Any]:
    fields = change["fields"][:_FIELDS]
    return dict(change) | {
        "fields": [
            {"path": item["path"], "old": _short(item["old"]), "new": _short(item["new"])} for item in fields
        ],
        "more": len(change["fields"]) - len(fields),
    }  # fmt: skip


def _short(value: Any) -> Any:
    """A value as it is, or the beginning of its JSON."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= _VALUE else f"{text[:_VALUE]}\N{HORIZONTAL ELLIPSIS}"
