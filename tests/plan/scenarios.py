"""Plans that the golden files show: one for each thing a reader may meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.model.plan import Cause, Plan, ProxyPlan
from reconciler.model.proxy import Guards
from reconciler.plan import check

from .fleet import V1, V2, V3, backend, canary, cluster, endpoints, move, plan, route, routes, runtime, turn, view

EVIL = "</details>\n\n<script>alert(1)</script> | ```` @everyone #1 \x1b[31m\u202e [x](javascript:y) *b* `c`"


def scenarios() -> Mapping[str, Plan]:
    """All of them by file name."""
    return {
        "nothing": plan(ProxyPlan(proxy=Key("default", "gateway"), live=14, unchanged=14)),
        "one-weight": move(canary(5), canary(25), *(f"sidecar-{index}" for index in range(12)), "gateway"),
        "everything": everything(),
        "refused": refused(),
        "hostile": hostile(),
    }


def everything() -> Plan:
    """Creates, updates and deletes, changes and drift, orders, endpoints, runtime keys, notes and a proxy that is down."""
    two = (route({V1: 95, V2: 5}), route(V1, name="ratings", prefix="/ratings"))
    old = [*backend(V1, "10.0.0.1"), *backend("gone", "10.9.9.9"), routes(*two)]
    more = route({V1: 899, V2: 100, V3: 1}, retry_policy={"retry_on": "5xx", "num_retries": 2})
    new = [cluster(V1), endpoints(V1, "10.0.0.1", "10.0.0.2"), *backend(V3, "10.0.0.3"), routes(two[1], more)]
    drifted = turn([canary(40), cluster("c", connect_timeout="9s")], [canary(5), cluster("c")], cause=Cause.DRIFT)
    note = Diagnostic(
        code="runtime-unmapped",
        severity=Severity.WARNING,
        message="route ratings is not mapped, so its weights can't be pushed",
        hint="map it in spec.push.runtime.routes",
        file="policies/proxies.yaml",
        line=7,
        column=3,
    )
    down = Diagnostic(code="admin-unreachable", message="http://127.0.0.1:9901: connection refused", hint="start it")
    foreign = turn(
        [runtime("routing.reviews.reviews_v1", 95), runtime("routing.reviews.reviews_v2", 5)],
        [runtime("routing.reviews.reviews_v1", 75), runtime("routing.reviews.reviews_v2", 25)],
        name="legacy",
    )
    return plan(
        turn(old, new, name="productpage-v1"),
        turn(old, new, name="details-v1"),
        replace(drifted, proxy=Key("edge", "gateway")),
        replace(foreign, notes=(note,)),
        ProxyPlan(proxy=Key("default", "ratings-v1"), error=down),
        ProxyPlan(proxy=Key("default", "idle"), live=3, unchanged=3),
        warnings=(Diagnostic(code="weights-sum", message="the weights add up to 95", severity=Severity.WARNING,
                             file="policies/reviews.yaml", line=14, column=9),),
    )  # fmt: skip


def refused() -> Plan:
    """What the guards say, one of it allowed."""
    dead = [*backend(V1, "10.0.0.1"), cluster(V2), endpoints(V2)]
    old, new = [*dead, canary(5), *backend("a"), *backend("b")], [*dead, canary(100)]
    made = plan(turn(old, new), turn(old, new, name="reviews-v1"), commit="")
    views = {proxy.proxy: view(*new, proxy=proxy.proxy) for proxy in made.proxies}
    found = check(made, views=views, limits=Guards(), allow=["guard-no-healthy-endpoint"])
    return replace(
        made,
        refused=tuple(item for item in found if item.severity is Severity.ERROR),
        warnings=tuple(item for item in found if item.severity is Severity.WARNING),
    )


def hostile() -> Plan:
    """Names and values that try to break out."""
    old, new = (routes(route({V1: 95, EVIL: weight}, name=EVIL), host=EVIL, config=EVIL) for weight in (5, 6))
    said = Diagnostic(code="evil", message=EVIL, hint=EVIL, file=EVIL)
    return plan(
        turn([old, runtime("r", EVIL)], [new, runtime("r", EVIL * 9), cluster(EVIL)], name=EVIL),
        ProxyPlan(proxy=Key("x", EVIL), error=said, notes=(said,)),
        commit=EVIL,
        refused=(said,),
        warnings=(said.demoted(),),
    )
