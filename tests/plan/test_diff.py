from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import Diagnostic, Severity
from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.origin import Finding, Origin
from reconciler.model.plan import Action, Cause, ProxyPlan
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.model.secrets import Certificate, Root, secret_resource
from reconciler.plan import compare_views, plan_proxy

from .fleet import GATEWAY, V1, V2, backend, canary, cluster, observe, runtime, shown, view

OVERRIDE = runtime("health_check.min_interval", 5)


def _never() -> tuple[View, ...]:
    raise AssertionError("nobody needs the base here")


def _had(*resources: Resource) -> Callable[[], tuple[View, ...]]:
    return lambda: (view(*resources),)


def _said(plan: ProxyPlan) -> list[tuple[str, str, str]]:
    return [(str(change.id), change.action.value, change.cause.value) for change in plan.changes]


def test_a_proxy_that_has_its_view_needs_nothing() -> None:
    """Nothing differs: no changes, and nobody is asked what was before."""
    has = (*backend(V1, "10.0.0.1"), canary(5))
    plan = plan_proxy(view(*has), observe(*has), receipt_view="something else", bases=_never)
    assert plan == ProxyPlan(proxy=GATEWAY, live=3, unchanged=3)


def test_creates_updates_and_deletes_come_in_make_before_break_order() -> None:
    """A plan lists what is to come, to change and to go, sorted by resource; creates and deletes need no fields."""
    live = observe(canary(5), cluster("gone"), cluster("stays"))
    plan = plan_proxy(
        view(canary(25), cluster("stays"), *backend("new", "1.1.1.1")), live, receipt_view="", bases=_never
    )
    assert [(str(c.id), c.action, bool(c.fields)) for c in plan.changes] == [
        ("cluster gone", Action.DELETE, False),
        ("cluster new", Action.CREATE, False),
        ("endpoints new", Action.CREATE, False),
        ("route 9080", Action.UPDATE, True),
    ]
    assert (plan.live, plan.unchanged) == (3, 1)
    update = plan.changes[-1]
    assert (update.old, update.new) == (canary(5), canary(25))


def test_secrets_come_before_what_refers_to_them_and_differ_by_their_files() -> None:
    """The plan's words for a secret are its type and its name; one that was changed by hand shows the file that it lacks."""
    mine = Certificate("/a.pem", "/a.key")
    forged = mine.message()
    forged.tls_certificate.certificate_chain.Clear()
    live = observe(protos.resource(ResourceType.SECRET, forged))
    wanted = view(secret_resource(mine), secret_resource(Root("/ca.pem")), cluster("new"))
    plan = plan_proxy(wanted, live, receipt_view="someone else", bases=_had(secret_resource(mine)))
    assert _said(plan) == [
        ("secret file-cert:/a.pem~/a.key", "update", "drift"),
        ("secret file-root:/ca.pem", "create", "change"),
        ("cluster new", "create", "change"),
    ]
    assert [(item.path, item.old, item.new) for item in plan.changes[0].fields] == [
        ("tls_certificate.certificate_chain.filename", None, "/a.pem")
    ]


@pytest.mark.parametrize(
    ("live", "receipt", "base", "wanted", "cause"),
    [
        pytest.param(canary(5), "", None, canary(25), Cause.CHANGE, id="there is no receipt"),
        pytest.param(
            canary(5), view(canary(5)).version, None, canary(25), Cause.CHANGE, id="the receipt's view is live"
        ),
        pytest.param(
            canary(5), "other", canary(5), canary(25), Cause.CHANGE, id="this resource is as it was, Git moved"
        ),
        pytest.param(canary(9), "other", canary(5), canary(5), Cause.DRIFT, id="this resource was changed by hand"),
        pytest.param(canary(9), "other", canary(5), canary(25), Cause.DRIFT, id="changed by hand, and Git moved"),
        pytest.param(None, "other", canary(5), canary(5), Cause.DRIFT, id="removed by hand"),
        pytest.param(None, "other", None, canary(5), Cause.CHANGE, id="new in Git"),
        pytest.param(canary(5), "other", canary(5), None, Cause.CHANGE, id="removed in Git"),
        pytest.param(canary(5), "other", None, None, Cause.DRIFT, id="put there by hand"),
    ],
)
def test_causes(
    live: Resource | None, receipt: str, base: Resource | None, wanted: Resource | None, cause: Cause
) -> None:
    """Drift is what differs from what the last receipt's commit compiles to; the rest is a change of Git's."""
    plan = plan_proxy(
        view(*filter(None, [wanted])),
        observe(*filter(None, [live])),
        receipt_view=receipt,
        bases=_had(*filter(None, [base])),
    )
    causes = {change.id.type: change.cause for change in plan.changes}
    assert causes[ResourceType.ROUTE] is cause


def test_only_what_drifted_is_drift() -> None:
    """Git moved one resource and a hand another: each has its own cause."""
    plan = plan_proxy(
        view(canary(25), cluster("c")),
        observe(canary(5), cluster("c", connect_timeout="1s")),
        receipt_view="other",
        bases=_had(canary(5), cluster("c")),
    )
    assert _said(plan) == [("cluster c", "update", "drift"), ("route 9080", "update", "change")]


def test_without_a_base_what_differs_from_the_receipt_is_drift() -> None:
    """The receipt's commit may be gone from Git; that the proxy moved is still known."""
    plan = plan_proxy(view(canary(5)), observe(canary(9)), receipt_view="other", bases=tuple)
    assert _said(plan) == [("route 9080", "update", "drift")]


def test_a_push_that_got_half_way_is_no_drift() -> None:
    """Part of the proxy has the older commit's content and part the newer's: both came from Git. A third value did not."""
    plan = plan_proxy(
        view(canary(50), cluster("c", connect_timeout="9s"), cluster("d")),
        observe(canary(25), cluster("c"), cluster("d", connect_timeout="1s")),
        receipt_view="other",
        bases=lambda: (
            view(canary(25), cluster("c", connect_timeout="5s"), cluster("d")),
            view(canary(5), cluster("c"), cluster("d")),
        ),
    )
    assert _said(plan) == [
        ("cluster c", "update", "change"),
        ("cluster d", "update", "drift"),
        ("route 9080", "update", "change"),
    ]


def test_the_bases_are_made_once() -> None:
    """Compiling an old commit is dear."""
    made: list[int] = []

    def bases() -> tuple[View, ...]:
        made.append(1)
        return ()

    plan = plan_proxy(view(cluster("a"), cluster("b")), observe(cluster("c")), receipt_view="other", bases=bases)
    assert len(plan.changes) == 3
    assert made == [1]


def test_overrides_on_a_proxy_that_is_configured_fully_are_drift() -> None:
    """They shadow Git and vanish on restart: deleted, and not counted among the proxy's resources."""
    plan = plan_proxy(view(canary(5)), observe(canary(5), OVERRIDE), receipt_view="", bases=_never)
    assert _said(plan) == [("runtime health_check.min_interval", "delete", "drift")]
    assert shown(plan.changes[0].fields) == ["value: 5 -> None"]
    assert (plan.live, plan.unchanged) == (1, 1)


def test_runtime_keys_that_the_view_lacks_are_left_alone() -> None:
    """They are others', or of a route whose weights can't be pushed any more: no reason to move its traffic."""
    ours, stray = runtime("routing.reviews.v1", 95), runtime("routing.ratings.v1", 1)
    live = observe(runtime("routing.reviews.v1", 90), stray, OVERRIDE)
    plan = plan_proxy(view(ours), live, receipt_view="other", bases=_had(ours, stray))
    assert _said(plan) == [("runtime routing.reviews.v1", "update", "drift")]
    assert (plan.live, plan.unchanged) == (1, 0)
    assert plan_proxy(view(), observe(stray, OVERRIDE), receipt_view="other", bases=_never).changes == ()
    assert compare_views(view(ours, stray), view(ours)).changes == ()


def test_a_runtime_key_that_comes_shows_its_value() -> None:
    """A key is nothing but its value."""
    plan = plan_proxy(view(runtime("r.v1", 5)), observe(), receipt_view="", bases=_never)
    assert shown(plan.changes[0].fields) == ["value: None -> 5"]


def test_a_proxy_that_cannot_be_asked_has_a_reason_and_no_changes() -> None:
    """An unreachable proxy is named; what it lacks is unknown."""
    down = Diagnostic(code="admin-unreachable", message="connection refused")
    plan = plan_proxy(view(canary(5)), observe(error=down), receipt_view="x", bases=_never)
    assert (plan.error, plan.changes, plan.reachable) == (down, (), False)


def test_static_resources_are_left_alone_and_said() -> None:
    """No push changes what a bootstrap holds: never deleted, and a name that clashes is a warning."""
    admin, clash = cluster("admin"), ResourceId(ResourceType.CLUSTER, V1)
    live = observe(admin, canary(5), foreign=[admin.id, clash])
    plan = plan_proxy(view(canary(5), cluster(V1)), live, receipt_view="", bases=_never)
    assert _said(plan) == [(f"cluster {V1}", "create", "change")]
    (note,) = plan.notes
    assert (note.code, note.severity) == ("static-resource", Severity.WARNING)
    assert V1 in note.message
    assert plan.live == 1


def test_what_a_proxy_cannot_do_is_noted() -> None:
    """What the policies ask for in vain is shown with its file, on reachable proxies and others."""
    finding = Finding(code="runtime-unmapped", message="no mapping", origin=Origin("policies/a.yaml", 0))
    nowhere = View.of(GATEWAY, [], (replace(finding, origin=Origin("", 0)),))
    assert compare_views(None, nowhere).notes[0].file is None
    asked = View.of(GATEWAY, [], [finding])
    note = Diagnostic(code="runtime-unmapped", message="no mapping", file="policies/a.yaml")
    assert plan_proxy(asked, observe(), receipt_view="", bases=_never).notes == (note,)
    assert compare_views(None, asked).notes == (note,)
    located = replace(note, line=3)
    assert plan_proxy(asked, observe(), receipt_view="", bases=_never, notes=(located,)).notes == (located,)
    assert compare_views(None, asked, notes=(located,)).notes == (located,)


def test_views_compare_offline() -> None:
    """Two commits: what differs, all of it a change."""
    plan = compare_views(view(canary(5), cluster(V1)), view(canary(25), cluster(V2)))
    assert _said(plan) == [
        (f"cluster {V1}", "delete", "change"),
        (f"cluster {V2}", "create", "change"),
        ("route 9080", "update", "change"),
    ]
    assert (plan.live, plan.unchanged) == (2, 0)


def test_a_proxy_that_is_new_in_a_commit_is_all_creates() -> None:
    """There is no older view of it."""
    new = View.of(Key("default", "new"), [canary(5)])
    assert _said(compare_views(None, new)) == [("route 9080", "create", "change")]


_resources = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 3)), unique_by=lambda item: item[0]
).map(lambda found: [cluster(name, connect_timeout=f"{seconds}s") for name, seconds in found])


@settings(deadline=None)
@given(_resources, _resources)
def test_applying_a_plan_gives_the_view(live: list[Resource], wanted: list[Resource]) -> None:
    """A plan holds all that is missing and nothing else, and counts what stays."""
    plan = compare_views(view(*live), view(*wanted))
    have = {item.id: item for item in live}
    for change in plan.changes:
        assert have.get(change.id) == change.old
        assert change.old != change.new
        if change.new is None:
            del have[change.id]
        else:
            have[change.id] = change.new
    assert have == view(*wanted).resources
    assert plan.live == plan.unchanged + sum(change.action is not Action.CREATE for change in plan.changes)
