"""What a receipt's subject says of where a plan has arrived."""

from __future__ import annotations

import pytest

from reconciler.cycle.receipts import draft
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.plan import Plan
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.push import Pushed

A, U = OutcomeKind.APPLIED, OutcomeKind.UNREACHABLE


@pytest.mark.parametrize(
    ("kinds", "where"),
    [
        ((A, A), "live on 2/2 proxies"),
        ((A, U), "live on 1/2 proxies"),
        ((U, U), "not live: 0/2 proxies"),
        ((U,), "not live: 0/1 proxy"),
        ((), "live on 0/0 proxies"),
    ],
)
def test_what_is_nowhere_live_is_not_called_live(kinds: tuple[OutcomeKind, ...], where: str) -> None:
    """People read the subject alone."""
    keys = [Key("default", f"p{number}") for number in range(len(kinds))]
    outcomes = {key: Outcome(proxy=key, kind=kind, proof=Proof.EXACT) for key, kind in zip(keys, kinds, strict=True)}
    plan = Plan(commit="a" * 40, proxies=())
    pushed = Pushed(outcomes={}, observations={}, push_seconds=0.0, verify_seconds=0.0)
    found = draft(plan, outcomes, None, commit="a" * 40, views={}, base=lambda _: None, seconds=pushed)
    assert found.subject == f"aaaaaaaaaa {where}"
