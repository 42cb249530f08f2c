from __future__ import annotations

import json

import pytest

from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.cycle import Ask
from reconciler.model.plan import Cause
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import ResourceType
from tests.e2e.rig import MESH, Rig
from tests.e2e.test_passes import route_file


def by_hand(rig: Rig) -> None:
    """Someone changes the live route and leaves its version text as it was."""
    rig.overwrite("edge", route_file(rig), lambda body: body.replace(b"primary", b"by-hand"))
    rig.wait(lambda: "by-hand" in json.dumps(rig.config("edge")), "the hand-made change is live")


def test_a_live_change_behind_gits_back_is_drift_and_is_repaired(rig: Rig) -> None:
    """The plan labels it drift, the pass puts it right, and the branch that says what happened stays true."""
    rig.run()
    by_hand(rig)
    preview = rig.command("--dry-run", "--output", "json").json()
    assert {change["cause"] for change in preview["proxies"][0]["changes"]} == {"drift"}
    rig.apply()
    assert "by-hand" not in json.dumps(rig.config("edge"))
    assert not rig.run().pending


def test_drift_may_only_be_reported(rig: Rig) -> None:
    """With `Mesh.drift: report` it is named and left, pass after pass, and is one receipt; no receipt claims a repair."""
    rig.commit({"policies/mesh.yaml": MESH.replace("spec: {", "spec: {drift: report, ")}, "Only report drift")
    rig.apply()
    by_hand(rig)
    for _ in range(3):
        report = rig.run()
        assert report.plan is not None
        assert {change.cause for proxy in report.plan.proxies for change in proxy.changes} == {Cause.DRIFT}
        assert [outcome.kind for outcome in report.outcomes.values()] == [OutcomeKind.DRIFTED]
        assert (report.exit_code(), report.exit_code(pending_matters=True)) == (0, 2)
        assert "by-hand" in json.dumps(rig.config("edge"))
    assert "outcome: drifted" in rig.recorded("edge")
    assert len(rig.receipts()) == 2
    assert "repair" not in rig.receipts()[0]


def test_a_change_is_applied_around_drift_that_is_only_reported(rig: Rig) -> None:
    """What Git changes elsewhere on the proxy goes live; what drifted stays, and is still drift afterwards."""
    rig.commit({"policies/mesh.yaml": MESH.replace("spec: {", "spec: {drift: report, ")}, "Only report drift")
    rig.apply()
    by_hand(rig)
    service = rig.files()["policies/details.yaml"]
    rig.commit(
        {
            "policies/details.yaml": service.replace(
                "  subsets:", "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n  subsets:"
            )
        },
        "Balance at random",
    )
    report = rig.run()
    assert report.plan is not None
    causes = {(change.id.type, change.cause) for change in report.plan.proxies[0].changes}
    assert causes == {(ResourceType.ROUTE, Cause.DRIFT), (ResourceType.CLUSTER, Cause.CHANGE)}
    live = json.dumps(rig.config("edge"))
    assert "by-hand" in live
    assert '"RANDOM"' in live
    again = rig.run().plan
    assert again is not None
    assert {(change.id.type, change.cause) for change in again.proxies[0].changes} == {
        (ResourceType.ROUTE, Cause.DRIFT)
    }


def test_drift_and_change_in_one_pass_are_told_apart(fleet: Rig) -> None:
    """One proxy was edited by hand, and Git moved: each change has the cause it has on that proxy."""
    fleet.run()
    by_hand(fleet)
    fleet.commit(fleet.routes(95, 5), "v2 at 5%")
    report = fleet.run()
    assert report.plan is not None
    causes = {proxy.proxy.name: {change.cause for change in proxy.changes} for proxy in report.plan.proxies}
    assert causes == {"edge": {Cause.DRIFT}, "edge-2": {Cause.CHANGE}, "edge-3": {Cause.CHANGE}}
    assert report.exit_code() == 0
    fleet.share_is(5)
    fleet.share_is(5, name="edge-3")


@pytest.mark.long
def test_files_that_are_wiped_are_written_again(rig: Rig) -> None:
    """An Envoy that restarts on an emptied directory is empty; the next pass brings everything back."""
    rig.run()
    rig.envoys["edge"].kill()
    for file in sorted(rig.directory("edge").rglob("*.pb")):
        file.unlink()
    rig.start("edge")
    rig.apply()
    rig.share_is(0, requests=100)


def test_drift_that_is_left_stays_drift_for_a_process_that_stays(rig: Rig) -> None:
    """A pass that reads less must not take a drifted proxy for a proven one: its receipt would claim a repair."""
    rig.commit({"policies/mesh.yaml": MESH.replace("spec: {", "spec: {drift: report, ")}, "Only report drift")
    rig.apply()
    by_hand(rig)
    with Session(settings(repo=str(rig.repo), ref="main"), quiet=True) as session:
        reconciler = session.reconciler()
        for exact in (True, False, True):
            report = reconciler.run(Ask(exact=exact))
            assert [outcome.kind for outcome in report.outcomes.values()] == [OutcomeKind.DRIFTED]
    assert "outcome: drifted" in rig.recorded("edge")
    assert len(rig.receipts()) == 2


def test_a_branch_that_was_never_there_moves_nothing(rig: Rig) -> None:
    """A slip in `--ref` is an error and no reason to push anything, not even what the receipts say."""
    rig.apply()
    by_hand(rig)
    report = rig.run(ref="mian")
    assert [error.code for error in report.errors] == ["git-ref-not-found"]
    assert not report.outcomes
    assert "by-hand" in json.dumps(rig.config("edge"))


@pytest.mark.long
def test_what_git_moved_while_a_proxy_was_away_is_no_drift(rig: Rig) -> None:
    """A proxy that is behind and drifts as well: the commit it missed is a change, and is applied where drift is left."""
    rig.commit({"policies/mesh.yaml": MESH.replace("spec: {", "spec: {drift: report, ")}, "Only report drift")
    rig.apply()
    rig.envoys["edge"].stop()
    rig.commit(rig.routes(80, 20), "v2 at 20%")
    rig.run()
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    rig.run()
    rig.start("edge")
    endpoints = min(rig.directory("edge").glob("endpoints/*.pb")).relative_to(rig.directory("edge"))
    rig.overwrite("edge", str(endpoints), lambda body: body.replace(b"127.0.0.1", b"127.0.0.9"))
    rig.wait(lambda: b"127.0.0.9" in rig.ask("edge", "/clusters"), "the hand-made change is live")

    report = rig.run()

    assert report.plan is not None
    causes = {(change.id.type, change.cause) for change in report.plan.proxies[0].changes}
    assert causes == {(ResourceType.ROUTE, Cause.CHANGE), (ResourceType.ENDPOINTS, Cause.DRIFT)}
    assert '"weight": 30' in json.dumps(rig.config("edge"))
