"""Which increases the guard lets pass for a rollout's sake: its own steps, and nobody else's moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cycle.desired import Desired
from reconciler.cycle.walking import stepping
from reconciler.model.plan import Plan
from reconciler.plan import check, compare_views
from tests.cycle.desires import ROLLOUT, ROUTES, at_step, course, desired, policies

UNNAMED = ROUTES.partition("  - name: other\n")[0].replace("  - name: primary\n    match", "  - match")
BY_NONE = ROLLOUT.replace(", routes: [primary]", "")


def refused(before: Desired, after: Desired, *, aborted: bool = False) -> list[str]:
    """What the guard says about going from one to the other."""
    plans = [compare_views(before.views.get(key), view) for key, view in after.views.items()]
    runs = {item.key: course(after).status.run for item in after.source.rollouts} if aborted else {}
    mappings = {proxy.key: proxy.spec.push.runtime for proxy in after.mesh.proxies}
    found = check(
        Plan(commit="", proxies=tuple(plans)),
        views=after.views,
        limits=after.mesh.settings.guards,
        verified=lambda: stepping(after, runs),
        prefixes={key: [route.prefix for route in item.routes] for key, item in mappings.items() if item},
    )
    return [item.message for item in found if item.code == "guard-weight-increase"]


def test_a_rollouts_own_step_passes_whatever_its_size(tmp_path: Path) -> None:
    """From 20% to 100%, on whole Envoys and on runtime keys: the steps were reviewed with the rollout."""
    before = desired(tmp_path / "0", policies(canary=20, rollout=at_step(0, folder=tmp_path)))
    after = desired(tmp_path / "1", policies(canary=100, rollout=at_step(1, folder=tmp_path)))
    assert refused(before, after) == []
    without = desired(tmp_path / "2", policies(canary=100, rollout=ROLLOUT))
    said = refused(before, without)
    assert len(said) == 3, said  # the rule has two matches, each a route
    assert any("routing.a" in item for item in said)


def test_a_step_says_nothing_for_another_route(tmp_path: Path) -> None:
    """A person's same move on another rule of the same VirtualService, to the same subsets, is refused on every proxy."""
    before = desired(tmp_path / "0", policies(canary=20, rollout=at_step(0, folder=tmp_path)))
    after = desired(tmp_path / "1", policies(canary=100, other=100, rollout=at_step(1, folder=tmp_path)))
    said = refused(before, after)
    assert len(said) == 2, said
    assert all("route other" in item or "routing.b" in item for item in said)


def test_a_rule_whose_name_begins_like_the_targets_is_another(tmp_path: Path) -> None:
    """Routes of a rule with several matches are named after both, and so might people name a rule."""
    files = {name: text.replace("name: other", "name: primary.x") for name, text in policies(other=100).items()}
    files = {name: text.replace("route: other", "route: primary.x") for name, text in files.items()}
    after = desired(tmp_path / "1", files | {"rollout": at_step(1, folder=tmp_path)})
    assert not any("primary.x" in split.route for split in stepping(after, {}))


def test_a_weight_that_is_not_the_steps_is_a_persons(tmp_path: Path) -> None:
    """They moved it themselves, and are asked whether they mean it."""
    before = desired(tmp_path / "0", policies(canary=20, rollout=at_step(0, folder=tmp_path)))
    after = desired(tmp_path / "1", policies(canary=90, rollout=at_step(0, folder=tmp_path)))
    assert len(refused(before, after)) == 3


@pytest.mark.parametrize("said", [True, False], ids=["on-main", "on-the-record"])
def test_an_abort_passes_from_any_weight(tmp_path: Path, *, said: bool) -> None:
    """Whether `main` says so, or only the record does and it is laid over what is compiled."""
    status = at_step(1, phase="Aborted" if said else "Progressing", folder=tmp_path)
    before = desired(tmp_path / "0", policies(canary=100))
    after = desired(tmp_path / "1", policies(canary=0, rollout=status))
    assert refused(before, after, aborted=not said) == []


def test_the_only_rule_needs_no_name(tmp_path: Path) -> None:
    """A target without names is the VirtualService's only rule, whose routes are then named by nothing but their service."""
    full = UNNAMED % {"stable": 0, "canary": 100}
    start = desired(tmp_path / "d", policies(routes=full, legacy="", rollout=BY_NONE))
    status = BY_NONE + f"status: {{phase: Progressing, step: 1, run: v1->v2, steps: {course(start).digest}}}\n"
    before = desired(
        tmp_path / "0", policies(routes=UNNAMED % {"stable": 80, "canary": 20}, legacy="", rollout=BY_NONE)
    )
    after = desired(tmp_path / "1", policies(routes=full, legacy="", rollout=status))
    assert refused(before, after) == []
    assert len(refused(before, start)) > 0


def test_a_step_of_a_delegate_passes_where_it_is_carried_out(tmp_path: Path) -> None:
    """Its routes are those of the VirtualService that delegates to it, whose own moves are a person's as ever."""
    root = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: front, namespace: web}\n"
        'spec:\n  hosts: ["details.example.com"]\n  gateways: [default/edge]\n  http:\n'
        "  - name: part\n    match: [{uri: {prefix: /part}}]\n    delegate: {name: details, namespace: default}\n"
        "  - name: whole\n    route:\n"
    )
    share = "    - {destination: {host: details.default.svc.cluster.local, subset: %s}, weight: %d}\n"

    def folder(name: str, canary: int, whole: int, rollout: str) -> Desired:
        files = policies(canary=canary, rollout=rollout, legacy="")
        files["routes"] = files["routes"].replace('  hosts: ["details.example.com"]\n  gateways: [edge]\n', "")
        files["root"] = root + share % ("v1", 100 - whole) + share % ("v2", whole)
        return desired(tmp_path / name, files)

    status = [at_step(number, folder=tmp_path) for number in (0, 1)]
    before = folder("0", 20, 0, status[0])
    assert refused(before, folder("1", 100, 0, status[1])) == []
    said = refused(before, folder("2", 100, 100, status[1]))
    assert len(said) == 1, said
    assert "route whole" in said[0]
