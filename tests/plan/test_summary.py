from __future__ import annotations

import pytest

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.plan import Cause, Plan, ProxyPlan
from reconciler.model.resource import Resource
from reconciler.plan import Counts, counts, subject_of, summary_line
from reconciler.plan.words import count, listed, percent, shorten, show_value, visible

from .fleet import HOST, V1, V2, V3, canary, cluster, move, plan, route, routes, runtime, turn

DOWN = ProxyPlan(proxy=Key("default", "down"), error=Diagnostic(code="admin-timeout", message="late"))


@pytest.mark.parametrize(
    ("made", "subject"),
    [
        pytest.param(plan(), "", id="nothing"),
        pytest.param(plan(DOWN), "", id="nothing known"),
        pytest.param(move(canary(5), canary(25)), "reviews v2 5% -> 25%", id="one weight"),
        pytest.param(move(canary(5), canary(25), "a", "b", "c"), "reviews v2 5% -> 25%", id="on many proxies"),
        pytest.param(
            move(canary(1, total=1000), canary(25, total=10_000)), "reviews v2 0.1% -> 0.25%", id="finer weights"
        ),
        pytest.param(move(canary(50), canary(0)), "reviews v1 50% -> 100%", id="the share that grows"),
        pytest.param(
            move(routes(route({V1: 100, V2: 0, V3: 0})), routes(route({V1: 80, V2: 15, V3: 5}))),
            "reviews v2 0% -> 15%, v3 0% -> 5%",
            id="two that grow",
        ),
        pytest.param(
            move(routes(route({V1: 100})), routes(route({V1: 99, V2: 1}))), "reviews v2 0% -> 1%", id="a new destination"
        ),
        pytest.param(move(canary(40), canary(5), cause=Cause.DRIFT), "repair drift: reviews v1 60% -> 95%", id="drift"),
        pytest.param(plan(turn([cluster("c")], [], cause=Cause.DRIFT)), "repair drift: 1 deleted", id="other drift"),
        pytest.param(
            plan(
                turn(
                    [canary(5), canary(5, config="http_proxy")],
                    [canary(25), canary(25, config="http_proxy")],
                )
            ),
            "reviews v2 5% -> 25%",
            id="in two route configurations",
        ),
        pytest.param(
            plan(turn([canary(5)], [canary(25)]), turn([canary(4)], [canary(25)], name="b")), "2 updated", id="two moves"
        ),
        pytest.param(
            plan(turn([canary(5)], [canary(25)]), turn([canary(5)], [canary(25)], name="b", cause=Cause.DRIFT)),
            "2 updated",
            id="drift and change",
        ),
        pytest.param(
            plan(turn([canary(5)], [canary(25), cluster("c")])), "1 created, 1 updated", id="a weight and more"
        ),
        pytest.param(
            move(canary(5), routes(route({V1: 75, V2: 25}, timeout="1s"))), "1 updated", id="a weight and a timeout"
        ),
        pytest.param(move(canary(5), canary(50, total=1000)), "1 updated", id="weights that move nothing"),
        pytest.param(
            plan(turn([cluster("a"), canary(5)], [cluster("b"), cluster("c"), canary(25)])),
            "2 created, 1 updated, 1 deleted",
            id="counts",
        ),
        pytest.param(
            plan(turn([runtime("r.reviews.v1", 95), runtime("r.reviews.v2", 5)],
                      [runtime("r.reviews.v1", 75), runtime("r.reviews.v2", 25)])),
            "reviews v2 5% -> 25%",
            id="runtime keys",
        ),
        pytest.param(
            plan(turn([runtime("r.v1", 90), runtime("r.v2", 5), runtime("r.v3", 5)],
                      [runtime("r.v1", 85), runtime("r.v2", 5), runtime("r.v3", 10)])),
            "2 updated",
            id="runtime keys whose unchanged siblings can't be known",
        ),
    ],
)  # fmt: skip
def test_subjects(made: Plan, subject: str) -> None:
    """What a person would write as the subject: the one split that moves, else counts."""
    assert subject_of(made) == subject


def _plain(host: str, weight: int) -> Resource:
    split = {"clusters": [{"name": V1, "weight": 100 - weight}, {"name": V2, "weight": weight}]}
    return routes({"name": "a", "match": {"prefix": "/"}, "route": {"weighted_clusters": split}}, host=host)


def test_a_service_is_called_by_its_virtual_service_or_its_host() -> None:
    """Names as people know them."""
    assert subject_of(move(_plain(HOST, 5), _plain(HOST, 6))) == "reviews v2 5% -> 6%"
    assert subject_of(move(_plain("a.example.com", 5), _plain("a.example.com", 6))) == "a.example.com v2 5% -> 6%"


def test_a_subject_is_one_short_line() -> None:
    """Names come from live proxies too: nothing in them may add a line or a trailer to a commit message."""
    subject = subject_of(move(_plain("x\n\nOutcome: applied", 5), _plain("x\n\nOutcome: applied", 6)))
    assert "\n" not in subject
    assert len(subject_of(move(_plain("x" * 500, 5), _plain("x" * 500, 6)))) < 100


def test_counts_are_sums_over_the_fleet() -> None:
    """Resources are summed over proxies; proxies that don't answer are counted apart."""
    made = plan(turn([canary(5), cluster("a")], [canary(6), cluster("a"), cluster("b")]), DOWN)
    assert counts(made) == Counts(create=1, update=1, delete=0, unchanged=1, unreachable=1)
    assert summary_line(made) == "Plan: 1 to create, 1 to update, 0 to delete; 1 unchanged; 1 proxy unreachable."
    assert summary_line(plan()) == "Plan: no changes; 0 unchanged."


@pytest.mark.parametrize(
    ("share", "text"),
    [(5, "5%"), (0.1, "0.1%"), (100 / 3, "33.333%"), (0, "0%"), (100, "100%"), (10, "10%"), (1e-5, "<0.001%"),
     (99.99999, ">99.999%"), (0.001, "0.001%")],
)  # fmt: skip
def test_percents_have_no_needless_decimals(share: float, text: str) -> None:
    """A tenth of a percent is kept, and little is never called nothing."""
    assert percent(share) == text


def test_words() -> None:
    """Plurals, lists, long values, and characters that don't print."""
    assert [count(amount, "proxy") for amount in (0, 1, 2)] == ["0 proxies", "1 proxy", "2 proxies"]
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert visible("a\n\x1b[0m\u202e\udc80\u2028\x85é") == "a\\n\\x1b[0m\\u202e\\udc80\\u2028\\x85é"
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghijk", 10) == "abcd...ijk"
    assert show_value({"b": [1], "a": None}) == '{"a":null,"b":[1]}'
