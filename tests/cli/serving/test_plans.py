from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.cli.serving.plans import Plans
from reconciler.cycle import Report
from reconciler.daemon import LastPass, State
from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.plan import Action, Cause, Change, FieldChange, Plan, ProxyPlan
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.web import NotReadyError

AT = datetime(2026, 1, 1, tzinfo=UTC)
A, B = Key("default", "a"), Key("default", "b")
GUARD = Diagnostic(code="guard-weight", message="too far", hint="allow it")


def change(name: str = "9080", fields: int = 1, value: Any = 90) -> Change:
    moved = tuple(FieldChange(f"weight[{at}]", 10, value) for at in range(fields))
    return Change(id=ResourceId(ResourceType.ROUTE, name), action=Action.UPDATE, cause=Cause.CHANGE, fields=moved)


def outcome(key: Key, kind: OutcomeKind) -> Outcome:
    return Outcome(proxy=key, kind=kind, proof=Proof.EXACT, detail="why", pushed=True)


def document(**report: Any) -> Any:
    last = LastPass(report=Report(head="h", applied="h", **report), ended=AT, reasons=("poll",))
    plans = Plans(lambda: State(started=AT, last=last))
    made = plans.plan()
    assert plans.plan() is made  # once for each pass
    assert json.loads(json.dumps(made)) == made
    assert made["at"] == "2026-01-01T00:00:00Z"
    return made


def plan(*proxies: ProxyPlan, refused: tuple[Diagnostic, ...] = ()) -> Plan:
    return Plan(commit="h", proxies=proxies, refused=refused)


def test_before_the_first_pass_there_is_no_plan() -> None:
    """It is an error that passes by itself."""
    with pytest.raises(NotReadyError):
        Plans(lambda: State(started=AT)).plan()


@pytest.mark.parametrize(
    ("state", "report"),
    [
        ("nothing", {"plan": plan(ProxyPlan(proxy=A))}),
        ("done", {"plan": plan(ProxyPlan(proxy=A, changes=(change(),))), "outcomes": {A: outcome(A, OutcomeKind.APPLIED)}}),
        ("waiting", {"plan": plan(ProxyPlan(proxy=A, changes=(change(),))), "outcomes": {A: outcome(A, OutcomeKind.LATE)}}),
        ("waiting", {"plan": plan(ProxyPlan(proxy=A, changes=(change(),))), "pending": True}),
        ("refused", {"plan": plan(ProxyPlan(proxy=A, changes=(change(),)), refused=(GUARD,)), "pending": True}),
        ("unusable", {"plan": plan(ProxyPlan(proxy=A)), "errors": (GUARD,)}),
    ],
)  # fmt: skip
def test_it_says_what_became_of_it(state: str, report: dict[str, Any]) -> None:
    """Done, waiting for proxies, refused by a guard, or made of a head that can't be used."""
    assert document(**report)["state"] == state


def test_a_refusal_says_how_it_is_acknowledged() -> None:
    """By a trailer, and by an option; once for each guard."""
    made = document(plan=plan(ProxyPlan(proxy=A, changes=(change(),)), refused=(GUARD, GUARD)))
    assert made["refused"] == [GUARD.as_json()] * 2
    assert made["acknowledge"] == [
        {
            "code": "guard-weight",
            "trailer": "Reconcile-Allow: guard-weight",
            "command": "reconcile --allow guard-weight",
        }
    ]


def test_only_what_differs_is_listed_with_what_became_of_it() -> None:
    """A proxy without changes is left out, one that can't be asked is not; fields are as in the plan's own JSON."""
    away = Diagnostic(code="admin-unreachable", message="down")
    proxies = (
        ProxyPlan(proxy=A, changes=(change(),)),
        ProxyPlan(proxy=B),
        ProxyPlan(proxy=Key("default", "c"), error=away),
    )
    made = document(plan=plan(*proxies), outcomes={A: outcome(A, OutcomeKind.REJECTED)})
    a, c = made["proxies"]
    assert (a["proxy"], a["outcome"]["kind"], a["outcome"]["detail"]) == ("default/a", "rejected", "why")
    assert a["changes"][0]["fields"] == [{"path": "weight[0]", "old": 10, "new": 90}]
    assert (c["proxy"], c["reachable"]) == ("default/c", False)
    assert made["errors"] == [{**away.as_json(), "message": "default/c: down"}]
    assert made["summary"]["update"] == 1


def test_it_is_bounded() -> None:
    """However large a plan is, its document can be read; what is left out is counted."""
    many = tuple(change(str(number), fields=50, value="x" * 1000) for number in range(350))
    made = document(plan=plan(ProxyPlan(proxy=A, changes=many), ProxyPlan(proxy=B, changes=many[:1])))
    a, b = made["proxies"]
    assert (len(a["changes"]), a["more"], len(b["changes"]), b["more"]) == (300, 50, 0, 1)
    assert (len(a["changes"][0]["fields"]), a["changes"][0]["more"]) == (40, 10)
    assert len(a["changes"][0]["fields"][0]["new"]) == 401
