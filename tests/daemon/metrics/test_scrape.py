from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from reconciler.cycle import Report
from reconciler.daemon import State
from reconciler.daemon.metrics import FAMILIES, Form
from reconciler.daemon.metrics.families import MOST_CODES, MOST_SERIES
from reconciler.errors import Diagnostic, Severity
from reconciler.model.discovered import Held, Knowledge, Standing
from reconciler.model.key import Key
from reconciler.model.plan import Plan, ProxyPlan
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.xds import Hold, NodeState
from tests.daemon.metrics.world import START, A, B, C, World, change, outcome, report
from tests.rollouts.repo import Folder

DOWN = Diagnostic(code="admin-unreachable", message="no")


def test_before_the_first_pass_there_is_nothing_to_say_of_the_fleet() -> None:
    """A daemon that has just begun is not converged, and knows no commit; no figure is made up."""
    world = World()
    world.ready = False
    found = world.samples()
    assert found["reconciler_ready"] == found["reconciler_converged"] == found["reconciler_busy_seconds"] == 0
    assert found["reconciler_start_timestamp_seconds"] == START.timestamp()
    assert not any(name.startswith(("reconciler_applied_commit", "reconciler_last_pass_timestamp")) for name in found)


def test_a_loop_that_hangs_shows_for_how_long() -> None:
    """Between passes it is at nothing."""
    world = World()
    world.state = State(started=START, busy_since=10.0)
    world.seconds = 250.0
    assert world.samples()["reconciler_busy_seconds"] == 240


def test_proxies_by_how_they_were_left_and_those_that_left_are_gone() -> None:
    """By its outcome; without one, by what the plan found. A proxy that is no member any more has no series."""
    world = World()
    world.seconds = 3.0
    seen = [outcome(A), outcome(B, OutcomeKind.REJECTED)]
    done = report("c1", seen, changes={C: [change()]})
    assert done.plan is not None
    far = ProxyPlan(proxy=Key("default", "d"), error=DOWN)
    world.passed(replace(done, plan=replace(done.plan, proxies=(*done.plan.proxies, far))))
    assert world.nonzero("reconciler_proxies") == {
        "{state=applied}": 1, "{state=rejected}": 1, "{state=pending}": 1, "{state=unreachable}": 1
    }  # fmt: skip
    assert world.nonzero("reconciler_proxy_trouble") == {
        "{proxy=default/b,state=rejected}": 1,
        "{proxy=default/c,state=pending}": 1,
        "{proxy=default/d,state=unreachable}": 1,
    }
    assert world.nonzero("reconciler_admin_errors_total") == {"{code=admin-unreachable}": 1}
    assert world.nonzero("reconciler_applied_commit_info") == {"{commit=c1,head=c1,ref=main}": 1}
    world.passed(report("c2", [outcome(A)]))
    assert not [name for name in world.samples() if "default/b" in name or "default/d" in name]
    at = world.samples()["reconciler_proxy_verified_timestamp_seconds{proxy=default/a}"]
    assert at == world.now().timestamp()


def test_series_are_bounded_whatever_the_fleet_is() -> None:
    """Ten thousand proxies don't bring Prometheus down; the sum still counts them all."""
    world = World()
    world.passed(report("c1", [outcome(Key("default", f"p{number:05}")) for number in range(MOST_SERIES + 500)]))
    codes = tuple(Diagnostic(code=f"code-{number}", message="no") for number in range(MOST_CODES + 50))
    assert len(world.nonzero("reconciler_proxy_verified_timestamp_seconds")) == MOST_SERIES
    assert world.nonzero("reconciler_proxies") == {"{state=applied}": MOST_SERIES + 500}
    world.passed(Report(head="c2", errors=codes))
    assert len(world.nonzero("reconciler_last_pass_errors")) == MOST_CODES


def test_an_unusable_head_is_told_from_what_is_applied() -> None:
    """What is live is the last good commit; the errors say by which code why."""
    world = World()
    bad = Diagnostic(code="yaml-syntax", message="no")
    plan = Plan(commit="c1", proxies=(ProxyPlan(proxy=A),))
    world.passed(Report(head="c2", applied="c1", plan=plan, outcomes={A: outcome(A)}, errors=(bad, bad)))
    assert world.nonzero("reconciler_last_pass_errors") == {"{code=yaml-syntax}": 2}
    assert world.nonzero("reconciler_applied_commit_info") == {"{commit=c1,head=c2,ref=main}": 1}
    assert world.samples()["reconciler_converged"] == 0


def test_warnings_and_what_holds_changes(tmp_path: Path) -> None:
    """A suspension is told while it lasts, whether or not something waits for its end."""
    world = World()
    folder = Folder(tmp_path).write(
        mesh="apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\n"
        'spec: {suspend: {reason: a sale, until: "2026-01-01T01:00:00Z"}}\n'
    )
    world.mesh = folder.mesh
    warned = Diagnostic(code="forge-unavailable", message="no", severity=Severity.WARNING)
    world.passed(Report(head="c1", applied="c1", plan=Plan(commit="c1", proxies=(), warnings=(warned,))))
    assert world.nonzero("reconciler_last_pass_") == {
        "warnings{code=forge-unavailable}": 1,
        "timestamp_seconds": START.timestamp(),
    }
    assert world.nonzero("reconciler_changes_held") == {"{by=suspension}": 1}
    world.seconds = 3601.0
    assert world.nonzero("reconciler_changes_held") == {}


def test_a_rollout_shows_its_phase_its_step_and_its_weight(tmp_path: Path) -> None:
    """As Git has it: a share of one, as Prometheus counts; and nothing once the rollout is gone."""
    folder = Folder(tmp_path).write()
    folder.edit("policies/routes.yaml", "weight: 100  # stable", "weight: 75")
    folder.edit("policies/routes.yaml", "weight: 0  # canary", "weight: 25")
    world = World()
    world.mesh = folder.mesh
    found = world.samples()
    assert found["reconciler_rollout_weight_ratio{rollout=default/reviews}"] == 0.25
    assert found["reconciler_rollout_step{rollout=default/reviews}"] == 0
    assert found["reconciler_rollout_steps{rollout=default/reviews}"] == 4
    assert world.nonzero("reconciler_rollout_phase") == {"{phase=Pending,rollout=default/reviews}": 1}
    assert len([name for name in found if name.startswith("reconciler_rollout_phase")]) == 5
    world.mesh = None
    assert not [name for name in world.samples() if name.startswith(("reconciler_rollout_p", "reconciler_rollout_w"))]


def test_registries_and_streams_as_they_are_at_the_moment() -> None:
    """A registry that does not answer is 0, and says when it last did."""
    world = World()
    held = Held(host="a", had=2, has=0, since=START, until=START)
    world.standings = (
        Standing(registry="k", kind="kubernetes", knowledge=Knowledge.LIVE, heard=START, services=3, instances=9),
        Standing(registry="c", kind="consul", knowledge=Knowledge.SILENT, held=(held,)),
    )
    hold = Hold(version="1", words="no", at=START)
    world.connections = {
        A: NodeState(connected=True, settled=True),
        B: NodeState(connected=True, held={ResourceId(ResourceType.ROUTE, "r"): hold}),
        C: NodeState(),
    }
    found = world.samples()
    assert found["reconciler_registry_up{kind=kubernetes,registry=k}"] == 1
    assert found["reconciler_registry_up{kind=consul,registry=c}"] == 0
    assert found["reconciler_registry_last_heard_timestamp_seconds{registry=k}"] == START.timestamp()
    assert "reconciler_registry_last_heard_timestamp_seconds{registry=c}" not in found
    assert world.nonzero("reconciler_registr") == {
        "ies{state=live}": 1, "ies{state=silent}": 1, "y_up{kind=kubernetes,registry=k}": 1,
        "y_last_heard_timestamp_seconds{registry=k}": START.timestamp(), "y_services{registry=k}": 3,
        "y_instances{registry=k}": 9, "y_held_losses{registry=c}": 1,
    }  # fmt: skip
    assert world.nonzero("reconciler_ads_") == {
        "proxies{state=connected}": 2, "proxies{state=gone}": 1, "unsettled_proxies": 1, "held_resources": 1
    }  # fmt: skip


def exercised(tmp_path: Path) -> World:
    """A world in which every metric has a sample."""
    world = World()
    world.mesh = Folder(tmp_path).write().mesh
    world.standings = (Standing(registry="k", kind="kubernetes", knowledge=Knowledge.LIVE, heard=START),)
    world.passed(report("c1", [outcome(A), outcome(B, OutcomeKind.LATE)], changes={A: [change()]}))
    world.metrics.tally.hooked("github", "woken")
    world.metrics.requested("/metrics", "GET", 200)
    return world


def test_the_exposition_is_what_promtool_likes(tmp_path: Path) -> None:
    """Names, units, help texts, no duplicates."""
    text, _ = exercised(tmp_path).metrics.exposition()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_what_is_exposed_is_what_the_table_says(tmp_path: Path) -> None:
    """Every metric of ours is in the table with its form and its labels, and every one of the table is exposed."""
    text, _ = exercised(tmp_path).metrics.exposition()
    table = {item.name.removesuffix("_total"): item for item in FAMILIES}
    assert len(table) == len(FAMILIES)
    found = {item.name: item for item in text_string_to_metric_families(text.decode())}
    assert {name for name in found if not name.startswith("process_")} == set(table)
    for name, family in table.items():
        assert (found[name].type, found[name].documentation) == (str(family.form), family.means)
        labels = {label for sample in found[name].samples for label in sample.labels}
        assert labels - {"le"} <= set(family.labels)
        assert (family.form is Form.COUNTER) == family.name.endswith("_total")
        assert (family.form is Form.HISTOGRAM) == bool(family.buckets)
    assert b"_created" not in text
