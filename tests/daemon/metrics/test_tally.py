from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cycle import Report
from reconciler.cycle.report import Stage
from reconciler.errors import Diagnostic, TransientError
from reconciler.model.plan import Cause, Plan, ProxyPlan
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import ResourceId, ResourceType
from tests.daemon.metrics.world import A, B, C, World, change, outcome, receipt, report

BAD = Diagnostic(code="yaml-syntax", message="no")
STOPPED = Diagnostic(code="guard-freeze", message="no")


def test_passes_by_result_reason_and_time() -> None:
    """One pass is one in each figure, whatever its reasons are."""
    world = World()
    assert world.nonzero("reconciler_passes_total") == {}
    world.passed(report("c1", [outcome(A)], seconds={Stage.LOAD: 0.5, Stage.PUSH: 1.0}), "drift", "webhook")
    world.passed(report("c1", [outcome(A, OutcomeKind.LATE)]), "retry")
    world.passed(Report(head="c2", errors=(BAD,)), "poll")
    refused = report("c3", [outcome(A)])
    assert refused.plan is not None
    world.passed(replace(refused, plan=replace(refused.plan, refused=(STOPPED,))), "poll")
    world.passed(report("c1", [outcome(A)]), "asked", whole=False)
    world.metrics.tally.broken(ZeroDivisionError())
    assert world.nonzero("reconciler_passes_total") == {
        "{result=success,scope=whole}": 1,
        "{result=unconfirmed,scope=whole}": 1,
        "{result=error,scope=whole}": 1,
        "{result=refused,scope=whole}": 1,
        "{result=success,scope=part}": 1,
        "{result=bug,scope=whole}": 1,
    }
    assert world.nonzero("reconciler_pass_triggers_total") == {
        "{trigger=drift}": 1, "{trigger=webhook}": 1, "{trigger=retry}": 1, "{trigger=poll}": 2, "{trigger=asked}": 1
    }  # fmt: skip
    seconds = world.samples()
    assert seconds["reconciler_pass_duration_seconds_sum"] == 1.5
    assert seconds["reconciler_pass_duration_seconds_count"] == 5
    assert seconds["reconciler_pass_stage_duration_seconds_sum{stage=push}"] == 1.0


def test_what_was_pushed_is_counted_by_what_came_of_it() -> None:
    """Changes count where they arrived; a proxy that nothing was sent to counts nowhere."""
    world = World()
    changes = {
        A: [change(), change(ResourceType.CLUSTER, Cause.DRIFT), change(ResourceType.CLUSTER, Cause.DRIFT, "b")],
        B: [change()],
    }
    sent = [outcome(A), outcome(B, OutcomeKind.UNREACHABLE), outcome(C, pushed=False)]
    world.passed(report("c1", sent, changes=changes))
    assert world.nonzero("reconciler_pushes_total") == {"{outcome=applied}": 1, "{outcome=unreachable}": 1}
    assert world.nonzero("reconciler_resources_changed_total") == {
        "{action=update,cause=change,type=route}": 1,
        "{action=update,cause=drift,type=cluster}": 2,
    }
    assert world.nonzero("reconciler_drift_corrected_total") == {"{type=cluster}": 2}
    assert world.samples()["reconciler_push_verified_seconds_count"] == 1


def test_what_goes_on_being_refused_is_counted_once() -> None:
    """A proxy that refuses a resource is asked again and again; that is one refusal until it has taken it."""
    world = World()
    route = ResourceId(ResourceType.ROUTE, "r")
    refusing = report("c1", [outcome(A, OutcomeKind.REJECTED, route), outcome(B, OutcomeKind.REJECTED)])
    for _ in range(3):
        world.passed(refusing)
    assert world.nonzero("reconciler_rejections_total") == {"{type=route}": 1, "{type=unknown}": 1}
    world.passed(report("c2", [outcome(A), outcome(B)]))
    world.passed(refusing)
    assert world.nonzero("reconciler_rejections_total") == {"{type=route}": 2, "{type=unknown}": 2}


def test_a_guard_is_counted_once_for_a_commit_and_its_plan_is_not_what_was_done() -> None:
    """The plan that is shown is the refused one; what was carried out meanwhile is the last good commit."""
    world = World()
    refused = Plan(commit="c2", proxies=(ProxyPlan(proxy=A, changes=(change(),)),), refused=(STOPPED, STOPPED))
    for head in ("c2", "c2", "c3"):
        world.passed(Report(head=head, applied="c1", plan=refused, outcomes={A: outcome(A)}))
    assert world.nonzero("reconciler_guard_refusals_total") == {"{code=guard-freeze}": 2}
    assert world.nonzero("reconciler_last_pass_refusals") == {"{code=guard-freeze}": 2}
    assert world.nonzero("reconciler_resources_changed_total") == {}
    assert world.samples()["reconciler_converged"] == 0


def test_convergence_counts_from_the_commit_to_the_receipt_that_shows_it_everywhere() -> None:
    """Once a commit: neither a part of the fleet nor a repair of drift later on is a convergence."""
    world = World()
    world.commits = {"c1": 0.0, "c2": 100.0}
    world.seconds = 7.0
    world.passed(report("c1", [outcome(A)], wrote=receipt("c1")))
    count = "reconciler_convergence_seconds_count"
    assert (world.samples()[count], world.samples()["reconciler_convergence_seconds_sum"]) == (1, 7)
    world.passed(report("c1", [outcome(A)], last=receipt("c1"), wrote=receipt("c1")), "drift")
    world.passed(report("c1", [outcome(A)], last=receipt("c1")), "drift")
    assert world.samples()[count] == 1
    world.seconds = 130.0
    late = [outcome(A), outcome(B, OutcomeKind.LATE)]
    world.passed(report("c2", late, last=receipt("c1"), wrote=receipt("c2", "partial")))
    assert (world.samples()[count], world.samples()["reconciler_converged"]) == (1, 0)
    world.seconds = 140.0
    world.passed(report("c2", [outcome(A), outcome(B)], last=receipt("c2", "partial"), wrote=receipt("c2")))
    assert (world.samples()[count], world.samples()["reconciler_convergence_seconds_sum"]) == (2, 47)
    assert (world.samples()["reconciler_converged"], world.samples()["reconciler_receipts_total"]) == (1, 4)
    world.passed(report("c9", [outcome(A)], wrote=receipt("c9")))  # whose time is not known
    world.commits["ahead"] = 10_000.0
    world.passed(report("ahead", [outcome(A)], wrote=receipt("ahead")))
    assert (world.samples()[count], world.samples()["reconciler_convergence_seconds_sum"]) == (3, 47)


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_pass_over_the_whole_fleet_is_the_newest_success(whole: bool) -> None:  # noqa: FBT001
    """Who asks for one proxy learns nothing of the others."""
    world = World()
    world.seconds = 60.0
    world.passed(report("c1", [outcome(A)]), whole=whole)
    at = world.samples()["reconciler_last_success_timestamp_seconds"]
    assert at == (world.now().timestamp() if whole else 0)


def test_git_that_does_not_answer_is_counted_by_why() -> None:
    """When it last answered stays."""
    world = World()
    world.seconds = 5.0
    world.metrics.tally.git_asked(None)
    answered = world.now().timestamp()
    world.seconds = 50.0
    world.metrics.tally.git_asked(TransientError("no", code="git-unavailable"))
    assert world.nonzero("reconciler_git_") == {
        "looks_total{result=success}": 1,
        "looks_total{result=error}": 1,
        "errors_total{code=git-unavailable}": 1,
        "last_success_timestamp_seconds": answered,
    }


def test_what_strangers_send_makes_no_series() -> None:
    """A method is any word that a client likes."""
    world = World()
    for number in range(100):
        world.metrics.requested("other", f"METHOD{number}", 405)
    world.metrics.requested("/v1/status", "GET", 200)
    assert world.nonzero("reconciler_http_requests_total") == {
        "{code=405,method=other,route=other}": 100,
        "{code=200,method=GET,route=/v1/status}": 1,
    }
