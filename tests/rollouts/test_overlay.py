"""What rollouts add to their VirtualServices between loading and compiling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.virtualservice import HTTPMatch, HTTPMirrorPolicy, Percent, StringMatch
from reconciler.rollouts.overlay import Overlay, overlaid
from tests.rollouts.overlays import HEADER, MIRROR, PRIMARY, ROLLOUT, RUN, SHARES, Case, rules

ABORTED = {Key.parse(ROLLOUT): RUN}
YES = {"x-canary": StringMatch(exact="yes")}


def over(case: Case) -> Mesh:
    """Its mesh with what is in force."""
    return overlaid(case.mesh())


def names(mesh: Mesh) -> list[str]:
    """The names of the rules of its VirtualService."""
    return [rule.name for rule in rules(mesh)]


def shares(mesh: Mesh, rule: int = 0) -> dict[str, int]:
    """The weights of one rule, by subset."""
    return {share.destination.subset: share.weight for share in rules(mesh)[rule].route}


@pytest.mark.parametrize(
    "case",
    [
        Case(),
        Case(phase=""),
        *(Case(steps=f"{{{HEADER}}}", phase=phase) for phase in ("Pending", "Succeeded", "Aborted")),
        Case(steps=f"{{{HEADER}}}", run="v0->v1"),
        Case(steps=f"{{setWeight: 5}}, {{{HEADER}}}"),
        Case(steps=f"{{{HEADER}}}, {{setHeaderRoute: {{name: qa}}}}", step=1),
        Case(steps=f"{{{MIRROR}}}, {{setMirrorRoute: {{name: shadow}}}}", step=1),
        Case(steps=f"{{{HEADER}}}, {{setWeight: 100}}", step=2),
    ],
)
def test_nothing_in_force_is_the_same_mesh(case: Case) -> None:
    """Before its step, after it is taken away, after the run, in another run: the very same object."""
    mesh = case.mesh()
    assert overlaid(mesh) is mesh
    assert overlaid(mesh, aborted={Key.parse(ROLLOUT): "v0->v1"}) is mesh


@pytest.mark.parametrize("phase", ["Progressing", "Paused"])
@pytest.mark.parametrize("step", [0, 1])
def test_a_header_route_stands_before_the_rule_until_it_is_taken_away(phase: str, step: int) -> None:
    """It is in force at later steps too, and while somebody looks at it."""
    rule = f"{{{PRIMARY}, timeout: 2s, retries: {{attempts: 1}}, rewrite: {{authority: a.b}}}}"
    mesh = over(Case(http=rule, steps=f"{{{HEADER}}}, {{setWeight: 5}}", step=step, phase=phase))
    header, primary = rules(mesh)
    assert header.name == "primary.qa"
    assert header.match == (HTTPMatch(headers=YES),)
    assert [(share.destination.subset, share.weight) for share in header.route] == [("v2", 100)]
    assert (header.timeout, header.retries, header.rewrite) == (primary.timeout, primary.retries, primary.rewrite)
    assert primary == rules(Case(http=rule).mesh())[0]


def test_what_the_document_asks_first_is_still_asked_first() -> None:
    """In a VirtualService the first match wins: rules before the target keep their requests, and the target its own matches."""
    first = "{name: first, match: [{uri: {prefix: /first}}], route: [{destination: {host: reviews, subset: v1}}]}"
    target = f"{{match: [{{uri: {{prefix: /a}}}}, {{name: b, headers: {{X-Canary: {{prefix: 'y'}}}}}}], {PRIMARY}}}"
    last = "{name: last, route: [{destination: {host: reviews, subset: v1}}]}"
    mesh = over(Case(http=f"{first}, {target}, {last}", steps=f"{{{HEADER}}}"))
    assert names(mesh) == ["first", "primary.qa", "primary", "last"]
    assert rules(mesh)[1].match == (
        HTTPMatch(uri=StringMatch(prefix="/a"), headers=YES),
        HTTPMatch(name="b", headers={"X-Canary": StringMatch(exact="yes")}),
    )


def test_a_header_route_that_no_request_of_the_rule_has_is_left_out() -> None:
    """A rule for x-canary: no never sends who says yes to the canary."""
    rule = f"{{match: [{{headers: {{x-canary: {{exact: 'no'}}}}}}], {PRIMARY}}}"
    assert names(over(Case(http=rule, steps=f"{{{HEADER}}}"))) == ["primary"]


def test_a_rule_without_a_name_gives_the_route_its_own() -> None:
    """Plans and access logs name it."""
    assert names(over(Case(http=f"{{route: {SHARES}}}", routes="[]", steps=f"{{{HEADER}}}"))) == ["qa", ""]


def test_copies_of_everything_are_the_rules_own() -> None:
    """Without a match the rule itself copies, beside whoever got copies before."""
    mesh = over(Case(steps=f"{{{MIRROR}}}"))
    (rule,) = rules(mesh)
    (copies,) = rule.mirrors
    assert (copies.destination.subset, copies.percentage) == ("v2", Percent(value=25))
    older = f"{{{PRIMARY}, mirror: {{host: reviews}}, mirrorPercentage: {{value: 5}}}}"
    (rule,) = rules(over(Case(http=older, steps=f"{{{MIRROR}}}")))
    assert (rule.mirror, rule.mirror_percentage) == (None, None)
    assert [(item.destination.subset, item.percentage) for item in rule.mirrors] == [
        ("", Percent(value=5)), ("v2", Percent(value=25)),
    ]  # fmt: skip


def test_copies_of_some_requests_have_a_rule_with_the_same_split() -> None:
    """It takes these requests only, and shares them out as the rule does."""
    match = "setMirrorRoute: {name: shadow, match: [{method: {exact: GET}}]}"
    mirror, primary = rules(over(Case(steps=f"{{{match}}}")))
    assert mirror.name == "primary.shadow"
    assert mirror.match == (HTTPMatch(method=StringMatch(exact="GET")),)
    assert mirror.route == primary.route
    assert mirror.mirrors == (HTTPMirrorPolicy(destination=primary.route[1].destination),)
    assert primary.mirrors == ()


def test_who_gets_the_canary_is_not_copied_to_it() -> None:
    """Header routes stand before mirrors, and have none."""
    some = "setMirrorRoute: {name: some, match: [{method: {exact: GET}}]}"
    mesh = over(Case(steps=f"{{{MIRROR}}}, {{{some}}}, {{{HEADER}}}", step=2))
    assert [(rule.name, len(rule.mirrors)) for rule in rules(mesh)] == [("primary.qa", 0), ("primary", 1)]
    mesh = over(Case(steps=f"{{{some}}}, {{{MIRROR}}}, {{{HEADER}}}", step=2))
    assert [(rule.name, len(rule.mirrors)) for rule in rules(mesh)] == [
        ("primary.qa", 0), ("primary.some", 1), ("primary", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("phase", ["", "Pending", "Progressing", "Paused"])
def test_an_aborted_run_gives_everything_back(phase: str) -> None:
    """The canary's weight is stable's, and no header sends anybody to it, whatever main says by now."""
    third = SHARES.replace("]", ", {destination: {host: other}, weight: 7}]")
    service = "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: other}\nspec: {hosts: [other.default.svc.cluster.local], resolution: STATIC, ports: [{name: http, number: 80}], endpoints: [{address: 10.0.0.1}]}\n"
    case = Case(http=f"{{name: primary, route: {third}}}", steps=f"{{{HEADER}}}", phase=phase, more=service)
    mesh = overlaid(case.mesh(), aborted=ABORTED)
    assert names(mesh) == ["primary"]
    assert shares(mesh) == {"v1": 100, "v2": 0, "": 7}


def test_an_abort_that_main_says_too_changes_nothing() -> None:
    """Then the file has the weights, and later runs are none of its business."""
    for case in (Case(phase="Aborted"), Case(phase="Succeeded"), Case(run="v1->v2#again", steps="{setWeight: 10}")):
        mesh = case.mesh()
        wanted = {Key.parse(ROLLOUT): "v1->v2#again"} if case.run.endswith("again") else ABORTED
        assert overlaid(mesh, aborted=wanted) is mesh


def test_an_abort_without_traffic_changes_nothing() -> None:
    """The canary has none already: nothing is compiled anew."""
    mesh = Case(http=f"{{{PRIMARY}}}".replace("90", "100").replace("10}", "0}")).mesh()
    assert overlaid(mesh, aborted=ABORTED) is mesh


def test_the_same_again_is_the_same_object() -> None:
    """The compiler knows what is unchanged by its identity; equal inputs of another load give equal documents."""
    case = Case(steps=f"{{{HEADER}}}")
    mesh, overlay = case.mesh(), Overlay()
    first = overlay.of(mesh)
    assert overlay.of(mesh) is first
    assert overlay.of(mesh, aborted=ABORTED) is not first
    assert overlay.of(mesh) == first
    assert overlaid(case.mesh()) == first
    changed = [
        (before.key.name, before is after)
        for before, after in zip(mesh.virtual_services, first.virtual_services, strict=True)
    ]
    assert changed == [("other", True), ("reviews", False)]
    assert first.rollouts is mesh.rollouts


def test_another_mesh_with_the_same_document_keeps_what_was_made_of_it() -> None:
    """A commit elsewhere does not touch this VirtualService, so what was made of it stays the same object."""
    mesh, overlay = Case(steps=f"{{{HEADER}}}").mesh(), Overlay()
    first = overlay.of(mesh)
    second = overlay.of(replace(mesh, gateways=()))
    assert first is not second
    assert first.virtual_services[1] is second.virtual_services[1]
