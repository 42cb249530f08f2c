from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.model.plan import Cause, Plan, ProxyPlan
from reconciler.model.proxy import Guards
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.secrets import Certificate, secret_resource
from reconciler.plan import GUARD_CODES, Split, check, plan_proxy, splits

from .fleet import (
    GATEWAY,
    HOST,
    V1,
    V2,
    V3,
    backend,
    build,
    canary,
    cluster,
    endpoints,
    observe,
    plan,
    route,
    routes,
    runtime,
    turn,
    view,
)

SERVED = (*backend(V1, "10.0.0.1"), *backend(V2, "10.0.0.2"), *backend(V3, "10.0.0.3"))


def _never() -> Sequence[Split]:
    raise AssertionError("nobody needs the receipts here")


def _check(
    old: Sequence[Resource],
    new: Sequence[Resource],
    *,
    limits: Guards | None = None,
    cause: Cause = Cause.CHANGE,
    **extra: Any,
) -> tuple[Diagnostic, ...]:
    made = plan(turn(old, new, cause=cause))
    return check(made, views={GATEWAY: view(*new)}, limits=limits or Guards(), **extra)


def _codes(found: Sequence[Diagnostic]) -> list[str]:
    return [f"{item.severity} {item.code}" for item in found]


def _weights(old: Resource, new: Resource, **extra: Any) -> tuple[Diagnostic, ...]:
    return _check([*SERVED, old], [*SERVED, new], **extra)


def test_a_safe_plan_is_silent_and_asks_nobody() -> None:
    """Nothing to refuse: no message, and the receipts of 30 days are not read."""
    assert _weights(canary(5), canary(55), verified=_never) == ()
    assert _check(SERVED, SERVED, verified=_never) == ()


@pytest.mark.parametrize(("limit", "refused"), [(50, False), (49.9, True), (0, True)])
def test_a_weight_rises_by_the_limit_at_most(limit: float, *, refused: bool) -> None:
    """Exactly the limit is allowed, more is not."""
    found = _weights(canary(5), canary(55), limits=Guards(max_weight_increase=limit))
    assert _codes(found) == ["error guard-weight-increase"] * refused


def test_the_objection_has_all_numbers_and_what_to_do() -> None:
    """Who, where, from, to, by how much, the limit, and both ways to acknowledge it."""
    (item,) = _weights(canary(5), canary(100))
    assert item.message == (
        f"route primary of {HOST}:9080 in 9080: v2 would go from 5% to 100%, up 95 points; "
        "the limit is 50 in one change, on gateway"
    )
    assert item.hint == (
        "move it in steps of at most 50 points, or acknowledge it with `--allow guard-weight-increase` "
        "or the commit trailer `Reconcile-Allow: guard-weight-increase`"
    )


def test_shares_are_judged_not_numbers() -> None:
    """Weights rescaled to a finer total move nothing; a single cluster is 100%."""
    assert _weights(canary(5), canary(50, total=1000)) == ()
    assert _codes(_weights(canary(5), routes(route(V2)))) == ["error guard-weight-increase"]
    assert _weights(routes(route(V1)), canary(50)) == ()


def test_a_route_that_is_new_may_start_anywhere() -> None:
    """A first push moves no traffic."""
    assert _check(SERVED, [*SERVED, canary(100)]) == ()
    more = routes(route({V1: 95, V2: 5}), route(V2, name="more", prefix="/more"))
    assert _weights(canary(5), more) == ()


def test_a_rename_or_another_condition_is_no_way_around() -> None:
    """The same traffic under another name is still the same traffic."""
    assert _codes(_weights(canary(5), routes(route(V2, name="other")))) == ["error guard-weight-increase"]
    both = routes(route(V2, prefix="/a"), route({V1: 95, V2: 5}))
    assert _codes(_weights(canary(5), both)) == ["error guard-weight-increase"]


def test_a_split_that_was_verified_is_never_refused() -> None:
    """A rollback to what receipts prove is exempt, whatever its size; they are read once."""
    asked: list[int] = []

    def verified() -> Sequence[Split]:
        asked.append(1)
        return splits(view(canary(0)))

    old = routes(route(V2), route(V2, name="b", prefix="/b"))
    new = routes(route({V1: 100, V2: 0}), route(V1, name="b", prefix="/b"))
    (item,) = _weights(old, new, verified=verified)
    assert "route b of" in item.message
    assert asked == [1]


@pytest.mark.parametrize("cause", [Cause.CHANGE, Cause.DRIFT])
def test_drift_repairs_are_judged_too(cause: Cause) -> None:
    """A repair that jumps is refused unless receipts show its split as verified."""
    assert _codes(_weights(canary(1), canary(99), cause=cause)) == ["error guard-weight-increase"]
    assert _weights(canary(1), canary(99), cause=cause, verified=lambda: splits(view(canary(99)))) == ()


def test_equal_objections_name_their_proxies_once() -> None:
    """Twenty identical proxies are one message."""
    names = ["a", "b", "c"]
    made = plan(*(turn([*SERVED, canary(1)], [*SERVED, canary(99)], name=name) for name in names))
    views = {Key("default", name): view(*SERVED, canary(99)) for name in names}
    (item,) = check(made, views=views, limits=Guards())
    assert item.message.endswith(", on 3 proxies: a, b, c")


def test_runtime_keys_of_one_prefix_are_judged_as_a_split() -> None:
    """A weight in a runtime key is a weight; keys that don't change count towards the total."""
    old = [runtime("r.v1", 90), runtime("r.v2", 5), runtime("r.v3", 5)]
    new = [runtime("r.v1", 10), runtime("r.v2", 85), runtime("r.v3", 5)]
    (item,) = _check(old, new)
    assert "runtime keys r.*: v2 would go from 5% to 85%, up 80 points" in item.message
    assert _check([], new) == ()
    dotted = [[runtime("r.v1.x", v1), runtime("r.v2.x", 100 - v1)] for v1 in (100, 0)]
    assert _codes(_check(dotted[0], dotted[1], prefixes={GATEWAY: ["r"]})) == ["error guard-weight-increase"]


@pytest.mark.parametrize(
    ("live", "gone", "limit", "refused"),
    [
        pytest.param(3, 1, 30, False, id="a proxy of three may lose one"),
        pytest.param(3, 2, 30, True, id="but not two"),
        pytest.param(1, 1, 30, False, id="a proxy of one may have another instead"),
        pytest.param(10, 3, 30, False, id="exactly the limit"),
        pytest.param(10, 4, 30, True, id="more than the limit"),
        pytest.param(9, 3, 30, True, id="rounded down"),
        pytest.param(10, 1, 0, True, id="a limit of 0 allows none"),
        pytest.param(10, 9, 100, False, id="a limit of 100 allows all"),
    ],
)
def test_only_so_many_resources_go_at_once(live: int, gone: int, limit: float, *, refused: bool) -> None:
    """A share of what the proxy has, one at least, and no proxy too small to be protected."""
    old = [cluster(f"c{index}") for index in range(live)]
    found = _check(old, [*old[gone:], cluster("new")], limits=Guards(max_delete_percent=limit))
    assert _codes(found) == ["error guard-delete-percent"] * refused


def test_the_numbers_of_a_deletion_are_all_there() -> None:
    """How many of how many, and the limit."""
    old = [cluster(f"c{index}") for index in range(8)]
    (item,) = _check(old, old[5:])
    assert item.message == (
        "5 of 8 live resources would be deleted (62.5%); the limit is 2 at once (30%, and always one), on gateway"
    )
    (none,) = _check(old, old[1:], limits=Guards(max_delete_percent=0))
    assert none.message == "1 of 8 live resources would be deleted; maxDeletePercent is 0, on gateway"


def test_updates_are_no_deletions_and_endpoints_go_with_their_cluster() -> None:
    """A cluster with its endpoints is one thing that goes."""
    changed = [build(ResourceType.CLUSTER, {"name": f"c{index}", "connect_timeout": "1s"}) for index in range(4)]
    assert _check([cluster(f"c{index}") for index in range(4)], changed) == ()
    old = [*backend("a", "1.1.1.1"), *backend("b", "1.1.1.1"), *backend("c", "1.1.1.1")]
    assert _check(old, old[2:]) == ()
    assert _codes(_check(old, old[4:])) == ["error guard-delete-percent"]


def test_secrets_go_with_what_refers_to_them() -> None:
    """A listener that goes takes its certificates along; neither their number nor their share is a reason to refuse."""
    secrets = [secret_resource(Certificate(f"/{name}.pem", f"/{name}.key")) for name in "abcdef"]
    old = [cluster("a"), cluster("b"), cluster("c"), *secrets]
    assert _check(old, old[1:3]) == ()
    assert _codes(_check(old, [*old[2:3], *secrets])) == ["error guard-delete-percent"]


def test_overrides_do_not_count_as_deleted_resources() -> None:
    """Clearing away what somebody set by hand on a proxy that is configured fully is no loss of configuration."""
    live = observe(canary(5), *(runtime(f"o.{index}", 1) for index in range(9)))
    found = plan_proxy(view(canary(5)), live, receipt_view="", bases=tuple)
    assert len(found.changes) == 9
    assert check(plan(found), views={GATEWAY: view(canary(5))}, limits=Guards()) == ()


def test_a_proxy_that_has_something_is_not_left_with_nothing() -> None:
    """One code for it, not two; a proxy that has nothing may stay so."""
    (item,) = _check([*SERVED, canary(5)], [])
    assert (item.code, item.message) == (
        "guard-empty-view",
        "the view is empty: all 7 live resources would be deleted, on gateway",
    )
    assert _check([], []) == ()


def _subset(*found: Resource) -> list[Resource]:
    return [*backend(V1, "10.0.0.1"), *found]


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        pytest.param((cluster(V2), endpoints(V2)), True, id="no endpoints"),
        pytest.param((cluster(V2),), True, id="no assignment"),
        pytest.param((cluster(V2), endpoints(V2, "1.1.1.1", health="UNHEALTHY")), True, id="unhealthy"),
        pytest.param((cluster(V2), endpoints(V2, "1.1.1.1", health="DRAINING")), True, id="draining"),
        pytest.param((cluster(V2), endpoints(V2, "1.1.1.1", health="DEGRADED")), False, id="degraded"),
        pytest.param((cluster(V2), endpoints(V2, "1.1.1.1")), False, id="health unknown"),
        pytest.param((build(ResourceType.CLUSTER, {"name": V2, "type": "STATIC"}),), True, id="static without"),
        pytest.param((build(ResourceType.CLUSTER, {"name": V2, "type": "STRICT_DNS"}),), False, id="found by DNS"),
        pytest.param((Resource.of(ResourceType.CLUSTER, V2, b"\xff"),), False, id="not readable"),
        pytest.param((), False, id="not in the view"),
    ],
)
def test_a_share_needs_an_endpoint(found: tuple[Resource, ...], *, refused: bool) -> None:
    """No weight goes to a subset that can't serve, as far as the view can tell."""
    had = _subset(*found)
    result = _check([*had, canary(5)], [*had, canary(25)])
    assert _codes(result) == ["error guard-no-healthy-endpoint"] * refused
    assert _codes(_check(had, [*had, canary(25)])) == ["error guard-no-healthy-endpoint"] * refused


def test_the_endpoints_of_a_cluster_may_have_another_name() -> None:
    """EDS looks them up by the service name."""
    named = cluster(V2, eds_cluster_config={"service_name": "x"})
    had = _subset(named, endpoints("x", "1.1.1.1"))
    assert _check([*had, canary(5)], [*had, canary(25)]) == ()


def test_a_share_that_falls_or_stays_needs_none() -> None:
    """Moving away from a dead subset is never refused; neither is a whole service without endpoints."""
    had = _subset(cluster(V2), endpoints(V2))
    assert _check([*had, canary(25)], [*had, canary(5)]) == ()
    assert _check([*had, canary(5)], [*had, routes(route({V1: 95, V2: 5}, timeout="1s"))]) == ()
    assert _check([*had, canary(5)], [*had, canary(0)]) == ()
    plain = f"outbound|9080||{HOST}"
    assert _check([], [cluster(plain), endpoints(plain), routes(route(plain))]) == ()


def test_the_dead_subset_is_named_with_its_numbers() -> None:
    """Which share, and how many of how many endpoints."""
    had = _subset(cluster(V2), endpoints(V2, "1.1.1.1", "1.1.1.2", health="UNHEALTHY"))
    (item,) = _check([*had, canary(5)], [*had, canary(25)])
    assert item.message == (
        f"route primary of {HOST}:9080 in 9080: v2 would go from 5% to 25%, "
        f"and 0 of its 2 endpoints can take requests ({V2}), on gateway"
    )


def test_restoring_what_was_verified_is_exempt_also_from_the_endpoints_rule() -> None:
    """Only as a repair of drift: a change to a dead subset is refused even if it once worked."""
    had = _subset(cluster(V2), endpoints(V2))
    for cause, codes in ((Cause.DRIFT, []), (Cause.CHANGE, ["error guard-no-healthy-endpoint"])):
        found = _check(
            [*had, canary(5)], [*had, canary(25)], cause=cause, verified=lambda: splits(view(canary(25)))
        )  # fmt: skip
        assert _codes(found) == codes


def test_a_proxy_that_starts_anew_is_not_kept_from_everything_by_a_subset_that_is_empty_now() -> None:
    """What receipts show as verified is given to it, as the others have it; what they don't is refused to it too."""
    wanted = [*_subset(cluster(V2), endpoints(V2)), canary(25)]
    assert _check([], wanted, verified=lambda: splits(view(canary(25)))) == ()
    assert _codes(_check([], wanted, verified=lambda: splits(view(canary(5))))) == ["error guard-no-healthy-endpoint"]


def test_what_is_allowed_becomes_a_warning() -> None:
    """Acknowledged on purpose, and still said; other guards stand."""
    had = _subset(cluster(V2), endpoints(V2))
    found = _check([*had, canary(5)], [*had, canary(100)], allow=["guard-weight-increase"])
    assert _codes(found) == ["warning guard-weight-increase", "error guard-no-healthy-endpoint"]
    assert found[0].message.startswith("allowed: route primary")
    assert _codes(_check([*had, canary(5)], [*had, canary(100)], allow=GUARD_CODES)) == [
        "warning guard-weight-increase",
        "warning guard-no-healthy-endpoint",
    ]


def test_a_code_that_is_no_guards_is_said() -> None:
    """A typo must not look like an acknowledgement."""
    (item,) = _check([], [], allow=["guard-wieght-increase"])
    assert (item.code, item.severity) == ("allow-unknown", Severity.WARNING)
    assert "guard-weight-increase" in item.hint


def test_proxies_that_need_nothing_are_not_judged() -> None:
    """Unreachable and unchanged proxies need no view."""
    down = ProxyPlan(proxy=GATEWAY, error=Diagnostic(code="admin-unreachable", message="down"))
    assert check(Plan(commit="", proxies=(down,)), views={}, limits=Guards()) == ()


_shares = st.integers(0, 100)


@settings(deadline=None)
@given(_shares, _shares, st.sampled_from([0.0, 10.0, 50.0, 100.0]))
def test_the_weight_rule_is_what_it_says(old: int, new: int, limit: float) -> None:
    """Refused if and only if some destination's share grows by more than the limit."""
    found = _weights(canary(old), canary(new), limits=Guards(max_weight_increase=limit))
    assert bool(found) == (abs(new - old) > limit)


def test_receipts_are_read_only_where_they_matter() -> None:
    """An objection that no receipt could lift doesn't ask for them."""
    assert _codes(_check(SERVED, [], verified=_never)) == ["error guard-empty-view"]
