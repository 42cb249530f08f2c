"""How a pass becomes the status of a commit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.cycle import Report
from reconciler.cycle.standing import standing, superseded
from reconciler.errors import Diagnostic, Severity
from reconciler.forge import StatusState
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.plan import Plan
from reconciler.model.receipt import Outcome, OutcomeKind, Receipt

HEAD, GOOD = "a" * 40, "b" * 40
PLAN = Plan(commit=HEAD, proxies=())


def receipt(outcome: str = "applied") -> Receipt:
    return Receipt(
        commit="c" * 40,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        subject="live",
        policy_commit=HEAD,
        plan_digest="",
        outcome=outcome,
        proxies={},
    )


def report(*kinds: OutcomeKind, detail: str = "", **fields: object) -> Report:
    keys = [Key("default", f"p{n}") for n in range(len(kinds))]
    outcomes = {
        key: Outcome(proxy=key, kind=kind, proof=Proof.EXACT, detail=detail if kind is not OutcomeKind.APPLIED else "")
        for key, kind in zip(keys, kinds, strict=True)
    }
    found = Report(head=HEAD, applied=HEAD, plan=PLAN, outcomes=outcomes, receipt=receipt())
    return replace(found, **fields)  # type: ignore[arg-type]


def error(code: str = "weights-sum", message: str = "wrong", **fields: object) -> Diagnostic:
    return Diagnostic(code=code, message=message, severity=Severity.ERROR, **fields)  # type: ignore[arg-type]


A, R, U, L = OutcomeKind.APPLIED, OutcomeKind.REJECTED, OutcomeKind.UNREACHABLE, OutcomeKind.LATE

CASES = [
    (report(A, A), "success", "live on 2/2 proxies"),
    (report(A), "success", "live on 1/1 proxy"),
    (report(A, A, receipt=None, last=receipt()), "success", "live on 2/2 proxies"),
    (report(A, A, receipt=None), "pending", "live on 2/2 proxies; not recorded yet"),
    (report(A, A, receipt=receipt("partial")), "pending", "live on 2/2 proxies; not recorded yet"),
    (report(), "success", "valid; there are no proxies to be live on"),
    (report(A, U, L, detail="no answer"), "pending", "live on 1/3 proxies; waits for p1 and 1 more: no answer"),
    (report(A, OutcomeKind.SKIPPED), "pending", "live on 1/2 proxies; not sent yet to p1"),
    (report(OutcomeKind.DRIFTED), "pending", "live on 0/1 proxy; drift is left on p0"),
    (report(U, R, detail="no \x1b[31mcluster"), "failure", "rejected by p1 and 1 more: no "),
    (
        report(A, OutcomeKind.FAILED, detail="disk full"),
        "error",
        "can't be written for p1: disk full; live on 1/2 proxies",
    ),
    (
        report(plan=replace(PLAN, refused=(error("guard-weight-increase", "up by 90"),)), applied=GOOD),
        "failure",
        "refused: up by 90 [guard-weight-increase]",
    ),
    (
        report(plan=replace(PLAN, refused=(error("guard-freeze", "not on a Friday"),))),
        "pending",
        "held: not on a Friday [guard-freeze]",
    ),
    (
        report(plan=replace(PLAN, refused=(error("guard-suspended", "wait"), error("guard-weight-increase", "up")))),
        "failure",
        "refused: ",
    ),
    (
        report(A, plan=None, applied=GOOD, errors=(error(file="policies/a.yaml", line=3), error("value", "also"))),
        "failure",
        "not applied: ",
    ),
    (report(plan=None, applied="", errors=(error(),), transient=True), "pending", "not applied: wrong [weights-sum]"),
    (report(A, errors=(error("git-protected"),)), "error", "live on 1/1 proxy: wrong [git-protected]"),
    (report(errors=(error("git-read-only"),)), "error", "not applied: wrong [git-read-only]"),
    (report(A, errors=(error("git-race"),), transient=True), "pending", "live on 1/1 proxy: wrong [git-race]"),
]


@pytest.mark.parametrize(("seen", "state", "words"), CASES)
def test_a_pass_is_said_in_one_line(seen: Report, state: str, words: str) -> None:
    """Live only with every proxy and a receipt; what is at fault is named, and so is who is waited for."""
    found = standing(seen)
    assert found is not None
    assert (found.commit, str(found.state)) == (HEAD, state)
    assert found.words.startswith(words)
    assert found.words.isprintable()


def test_where_an_error_is_and_how_many_there_are_is_said() -> None:
    """Whoever reads the status finds the line."""
    seen = report(plan=None, applied="", errors=(error(file="policies/a.yaml", line=3), error("value", "also")))
    found = standing(seen)
    assert found is not None
    assert "(and 1 more)" in found.words
    assert "policies/a.yaml:3: wrong [weights-sum]" in found.words or "also [value]" in found.words


@pytest.mark.parametrize(
    "seen", [Report(), Report(errors=(error("git-unavailable"),), transient=True), Report(head=HEAD)]
)
def test_a_pass_that_saw_no_head_says_nothing(seen: Report) -> None:
    """Git that can't be read is no fault of any commit."""
    assert standing(seen) is None


def test_an_older_commit_is_live_with_the_one_that_replaced_it() -> None:
    """It is not left pending for ever."""
    newer = standing(report(A, A))
    assert newer is not None
    found = superseded(GOOD, newer)
    assert (found.commit, found.state) == (GOOD, StatusState.SUCCESS)
    assert found.words == "replaced by aaaaaaaaaa, which is live on 2/2 proxies"
