"""Plans where registries list instances: what is wanted is what they say now, and it is neither drift nor Git's doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from reconciler.model.observation import Observation
from reconciler.model.plan import Action, Cause, Plan, ProxyPlan
from reconciler.model.proxy import Guards
from reconciler.model.resource import Resource, View
from reconciler.model.services import Endpoint
from reconciler.plan import as_json, check, digest, plan_proxy, render_markdown, render_text, subject_of
from tests.plan.fleet import (
    GATEWAY,
    HOST,
    V1,
    V2,
    backend,
    canary,
    cluster,
    endpoints,
    observe,
    plan,
    view,
)

OTHER = "outbound|9080||other.example"
A, B = "10.0.0.1", "10.0.0.2"


@dataclass(frozen=True)
class _Recipe:
    """Of a cluster's endpoints, all on port 9080."""

    name: str
    host: str = HOST

    def at(self, endpoints_: Sequence[Endpoint]) -> Resource:
        return listed(self.name, *(item.address for item in endpoints_))


def listed(name: str, *addresses: str, health: str = "UNKNOWN") -> Resource:
    """The endpoints of a cluster, which registries list."""
    return replace(endpoints(name, *addresses, health=health), recipe=_Recipe(name, name.rpartition("|")[2]))


def _newest(*items: Resource) -> Callable[[Resource], Resource]:
    known = {item.id: item for item in items}
    return lambda item: known.get(item.id, item) if item.recipe is not None else item


def _plan(
    wanted: View,
    live: Observation,
    *fresh: Resource,
    receipt: str = "",
    bases: Sequence[View] = (),
    known: Sequence[str] = (),
) -> ProxyPlan:
    return plan_proxy(
        wanted, live, receipt_view=receipt, bases=lambda: bases, fresh=_newest(*fresh), listed=frozenset(known)
    )


def _said(made: ProxyPlan) -> list[tuple[str, str, str]]:
    return [(str(change.id), change.action.value, change.cause.value) for change in made.changes]


def test_what_a_proxy_should_have_is_what_registries_say_now() -> None:
    """Not what they said when the view was compiled: what is live by now is no change."""
    wanted = view(cluster(V1), listed(V1, A), canary(5))
    live = observe(cluster(V1), endpoints(V1, A, B), canary(5))
    made = _plan(wanted, live, listed(V1, A, B))
    assert made == ProxyPlan(proxy=GATEWAY, live=3, unchanged=3)
    (change,) = _plan(wanted, observe(cluster(V1), endpoints(V1, B), canary(5)), listed(V1, A, B)).changes
    assert (change.action, change.cause, change.new) == (Action.UPDATE, Cause.DISCOVERY, listed(V1, A, B))
    assert [item.path for item in change.fields] == [f"endpoints[default].lb_endpoints[{A}:9080]"]


def test_health_is_no_difference_that_a_proxy_could_show() -> None:
    """Envoy's dump does not say why it calls a host or not; what can be seen besides is still a difference, by itself."""
    wanted = listed(V1, A, B, health="DRAINING")
    assert not _plan(view(cluster(V1), wanted), observe(cluster(V1), endpoints(V1, A, B))).changes
    (change,) = _plan(view(cluster(V1), wanted), observe(cluster(V1), endpoints(V1, A))).changes
    assert [item.path for item in change.fields] == [f"endpoints[default].lb_endpoints[{B}:9080]"]
    assert change.new == wanted


def test_gits_endpoints_are_compared_as_ever() -> None:
    """Only what registries have a part in is loose."""
    wanted = view(cluster(V1), endpoints(V1, A, health="DRAINING"))
    assert _said(_plan(wanted, observe(cluster(V1), endpoints(V1, A)))) == [(f"endpoints {V1}", "update", "change")]


def test_what_was_not_read_but_remembered_is_believed() -> None:
    """An observation that was put together from what a proxy was sent has recipes in it."""
    assert not _plan(view(cluster(V1), listed(V1, A)), observe(cluster(V1), listed(V1, B))).changes


@pytest.mark.parametrize(
    ("live", "cause"),
    [
        pytest.param((cluster(V1),), "discovery", id="the cluster waits for its endpoints"),
        pytest.param((), "change", id="both are new"),
    ],
)
def test_endpoints_that_come_with_a_cluster_come_for_its_reason(live: tuple[Resource, ...], cause: str) -> None:
    """A new subset is Git's doing, with all that belongs to it."""
    made = _plan(view(cluster(V1), listed(V1, A)), observe(*live))
    assert _said(made)[-1] == (f"endpoints {V1}", "create", cause)


def test_endpoints_that_come_with_a_lost_cluster_are_drift_with_it() -> None:
    """Somebody removed the cluster by hand: what is left alone with it, where drift is only reported, is left as a whole."""
    had = view(cluster(V1), listed(V1, A), canary(5))
    made = _plan(had, observe(canary(5)), receipt=had.version, bases=[had])
    assert [cause for _, _, cause in _said(made)] == ["drift", "drift"]


def test_receipts_do_not_count_what_registries_list() -> None:
    """A proxy with other instances than when the receipt was written still has what it says: what differs now is Git's doing."""
    before = view(cluster(V1), listed(V1, A), canary(5))
    live = observe(cluster(V1), endpoints(V1, B), canary(5))
    assert live.version_without(before.discovered) == before.version
    made = _plan(view(cluster(V1), listed(V1, A), canary(9)), live, receipt=before.version)
    assert _said(made) == [(f"endpoints {V1}", "update", "discovery"), ("route 9080", "update", "change")]


@pytest.mark.parametrize("gone", [False, True], ids=["came", "went"])
def test_a_service_that_comes_or_goes_is_discovery(*, gone: bool) -> None:
    """Git asks for the same as before, so it can only be what registries say; without registries it is a change."""
    small = view(*backend(V1, A), canary(5))
    large = view(*backend(V1, A), canary(9), cluster(OTHER), listed(OTHER, B))
    old, new = (large, small) if gone else (small, large)
    live = observe(*old.resources.values())
    for known, cause in ((["other.example"], "discovery"), ([], "change")):
        made = _plan(new, live, receipt=old.version, bases=[new], known=known)
        assert {item for _, _, item in _said(made)} == {cause}
        assert len(made.changes) == 3
    (told,) = {
        item for _, _, item in _said(_plan(new, live, receipt=old.version, bases=[old], known=["other.example"]))
    }
    assert told == "change"


def test_beside_drift_only_clusters_of_registries_are_discovery() -> None:
    """On a proxy that has something else than the receipt says: what a registry can't be the reason of is drift."""
    new = view(*backend(V1, A), canary(5), cluster(OTHER), listed(OTHER, B))
    made = _plan(new, observe(*backend(V1, A), canary(7)), receipt="else", bases=[new], known=["other.example"])
    assert _said(made) == [
        (f"cluster {OTHER}", "create", "discovery"),
        (f"endpoints {OTHER}", "create", "discovery"),
        ("route 9080", "update", "drift"),
    ]


def _discovered(*proxies: ProxyPlan) -> Plan:
    return plan(*proxies)


def test_what_a_registry_listed_that_git_does_not_name_any_more_is_taken_away_by_git() -> None:
    """It is a change, not drift: with `drift: report` the instances would stay for good, and a plan would blame somebody's hand."""
    before, wanted = view(cluster(V1), listed(V1, A)), view(cluster(V1), endpoints(V1))
    live = observe(cluster(V1), endpoints(V1, A))
    made = _plan(wanted, live, receipt=before.version, bases=[before])
    assert [(item.id.name, item.cause) for item in made.changes] == [(V1, Cause.CHANGE)]
    by_hand = _plan(wanted, live, receipt=wanted.version, bases=[wanted])
    assert [item.cause for item in by_hand.changes] == [Cause.DRIFT]


def test_a_digest_leaves_out_what_registries_say() -> None:
    """What a person approves must be found again a second later: instances move all the time."""
    wanted = view(cluster(V1), listed(V1, A), canary(9))
    digests = set()
    for has in ((A,), (B,)):
        live = observe(cluster(V1), endpoints(V1, *has), canary(5))
        digests.add(digest(plan(_plan(wanted, live))))
    for other in (A, B):  # with its cluster, a load assignment is reviewed, and its instances are not
        made = _plan(view(cluster(V1), cluster(V2), listed(V1, A), listed(V2, other), canary(9)), observe(canary(5)))
        digests.add(digest(plan(made)))
        gone = _plan(view(canary(5)), observe(cluster(V1), endpoints(V1, other), canary(5)))
        digests.add(digest(plan(gone)))
    assert len(digests) == 3
    only = _plan(view(cluster(V1), listed(V1, A)), observe(cluster(V1), endpoints(V1, B)))
    assert digest(plan(only)) == digest(plan())


def test_a_subset_is_judged_by_who_serves_it_now() -> None:
    """Weight goes to a subset that has come up since the view was compiled, and not to one that is drained since."""
    for compiled, now, refused in ((listed(V2), listed(V2, A), False), (listed(V2, A), listed(V2), True)):
        wanted = view(*backend(V1, A), cluster(V2), compiled, canary(25))
        live = observe(*backend(V1, A), cluster(V2), endpoints(V2), canary(5))
        made = plan(_plan(wanted, live, now))
        found = check(made, views={GATEWAY: wanted}, limits=Guards(), fresh=_newest(now))
        assert [item.code for item in found] == ["guard-no-healthy-endpoint"] * refused


def test_nobody_judges_a_subset_whose_registries_were_not_asked() -> None:
    """A preview from Git alone must not refuse every split of services that are discovered."""
    wanted = view(*backend(V1, A), cluster(V2), listed(V2), canary(25))
    made = plan(_plan(wanted, observe(*backend(V1, A), cluster(V2), endpoints(V2), canary(5))))
    assert check(made, views={GATEWAY: wanted}, limits=Guards(), fresh=lambda _: None) == ()
    (refused,) = check(made, views={GATEWAY: wanted}, limits=Guards())
    assert refused.code == "guard-no-healthy-endpoint"


def test_a_silent_registry_is_named_before_what_follows_from_it() -> None:
    """Its subsets look empty: who reads the first line has to find the cause."""
    wanted = view(*backend(V1, A), cluster(V2), listed(V2), canary(25))
    made = plan(_plan(wanted, observe(*backend(V1, A), cluster(V2), endpoints(V2), canary(5))))
    found = check(made, views={GATEWAY: wanted}, limits=Guards(), silent=["cluster"])
    assert [item.code for item in found] == ["guard-silent-registry", "guard-no-healthy-endpoint"]


def test_changes_of_endpoints_are_never_refused() -> None:
    """Even where all go: registries are doubted before, and a proxy must not keep calling who is gone."""
    wanted = view(cluster(V1), listed(V1), canary(5))
    made = plan(_plan(wanted, observe(cluster(V1), endpoints(V1, A, B), canary(5))))
    assert made.proxies[0].changes
    assert check(made, views={GATEWAY: wanted}, limits=Guards.model_validate({"maxDeletePercent": 0})) == ()


def test_services_that_leave_a_registry_count_as_deletions() -> None:
    """However they were lost."""
    names = [f"outbound|9080||s{number}.example" for number in range(4)]
    old = view(*(item for name in names for item in (cluster(name), listed(name, A))), canary(5))
    new = view(canary(5))
    made = _plan(new, observe(*old.resources.values()), receipt=old.version, bases=[new], known=["s1.example"])
    assert {change.cause for change in made.changes} == {Cause.DISCOVERY}
    found = check(plan(made), views={GATEWAY: new}, limits=Guards())
    assert [item.code for item in found] == ["guard-delete-percent"]


def test_a_change_of_very_many_endpoints_is_counted() -> None:
    """In every form; a few are listed."""
    many = [f"10.1.{number // 250}.{number % 250}" for number in range(10_000)]
    wanted = view(cluster(V1), listed(V1, *many[1:], A, B))
    made = plan(_plan(wanted, observe(cluster(V1), endpoints(V1, *many))))
    (change,) = made.proxies[0].changes
    assert [(item.path, item.old, item.new) for item in change.fields] == [
        ("(endpoints)", "10000 endpoints", "10001 endpoints (+2 -1)")
    ]
    expected = f'~ endpoints {V1} (discovery)\n    ~ (endpoints): "10000 endpoints" -> "10001 endpoints (+2 -1)"'
    assert expected in render_text(made, color=False).replace("\n  ", "\n")
    assert expected in render_markdown(made)
    assert as_json(made)["proxies"][0]["changes"][0]["cause"] == "discovery"
    assert subject_of(made) == "discovery: 1 updated"
