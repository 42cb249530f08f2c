from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.plan import Cause, ProxyPlan
from reconciler.plan import digest

from .fleet import canary, cluster, move, plan, turn


def test_a_digest_is_the_same_for_plans_that_do_the_same() -> None:
    """The commit, causes, messages and proxies that need nothing or don't answer are not in it."""
    made = move(canary(5), canary(25))
    said = Diagnostic(code="x", message="x")
    idle = ProxyPlan(proxy=Key("a", "idle"), live=3, unchanged=3)
    down = ProxyPlan(proxy=Key("z", "down"), error=said)
    other = replace(made, commit="other", refused=(said,), warnings=(said,), proxies=(idle, *made.proxies, down))
    assert digest(other) == digest(made) == digest(move(canary(5), canary(25), cause=Cause.DRIFT))
    assert len(digest(made)) == 64


def test_a_digest_covers_everything_that_would_be_done() -> None:
    """Which proxy, which resource, from what, to what; also the content of what is created, which has no fields."""
    one, two = cluster("c"), cluster("c", connect_timeout="1s")
    plans = [
        plan(),
        move(canary(5), canary(25)),
        move(canary(6), canary(25)),
        move(canary(5), canary(26)),
        move(canary(5), canary(25), "other"),
        move(canary(5), canary(25), "gateway", "other"),
        plan(turn([], [one])),
        plan(turn([], [two])),
        plan(turn([one], [])),
    ]
    assert len({digest(item) for item in plans}) == len(plans)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 100))
def test_digests_are_equal_exactly_for_equal_steps(one: int, other: int) -> None:
    """Recomputed from scratch, a plan has its digest again."""
    assert (digest(move(canary(0), canary(one))) == digest(move(canary(0), canary(other)))) == (one == other)
