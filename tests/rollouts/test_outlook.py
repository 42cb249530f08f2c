from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from reconciler.model.analysis import MetricSpec, TemplateRef
from reconciler.model.key import Key
from reconciler.model.rollout import (
    Pause,
    Phase,
    Rollout,
    RolloutStatus,
    RolloutTarget,
    SetHeaderRoute,
    SetMirrorRoute,
    Step,
    StepAnalysis,
    VirtualServiceTarget,
)
from reconciler.rollouts.chronicle import described, said
from reconciler.rollouts.course import Course, Planned, steps_digest
from reconciler.rollouts.evidence import Aborted, Evidence, Measured, Outcome, Running
from reconciler.rollouts.metric import Metric
from reconciler.rollouts.outlook import outlook
from tests.rollouts.world import WEB, World, rollout

NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
STEPS = (
    Step(set_weight=5),
    Step(pause=Pause(duration=timedelta(minutes=10))),
    Step(pause=Pause()),
    Step(analysis=StepAnalysis(templates=(TemplateRef(template_name="golden"),))),
    Step(set_weight=100),
)
METRIC = Metric(
    name="golden/success",
    spec=MetricSpec(name="success", initial_delay=timedelta(seconds=90)),
    interval=timedelta(seconds=30),
    count=3,
)
SPEC = Rollout(target=RolloutTarget(virtual_service=VirtualServiceTarget(name="x")), stable="v1", canary="v2")


def course(at: int = 0, phase: Phase = Phase.PROGRESSING, *, post: bool = False, **spec: Any) -> Course:
    return Course(
        key=Key("default", "x"),
        spec=SPEC.model_copy(update=spec),
        status=RolloutStatus(phase=phase, step=at, run="v1->v2"),
        steps=STEPS,
        digest=steps_digest(STEPS),
        analyses=MappingProxyType({3: Planned(id="step-3", metrics=(METRIC,))}),
        post=Planned(id="post", metrics=(METRIC,)) if post else None,
    )


def evidence(step: int, *, verified: bool = True, **fields: Any) -> Evidence:
    since = NOW if verified else None
    return Evidence(run="v1->v2", phase=Phase.PROGRESSING, step=step, entered=NOW, verified=since, **fields)


def measuring(identity: str, **fields: Any) -> dict[str, Any]:
    running = Running(started=NOW, metrics=MappingProxyType({METRIC.name: Measured(since=NOW, **fields)}))
    return {"analyses": MappingProxyType({identity: running})}


@pytest.mark.parametrize(
    ("walked", "known", "words", "seconds", "verb"),
    [
        (course(run="again"), None, "the run v1->v2#again begins, with v2 at 5%", None, ""),
        (course(run="again", paused=True), None, "the run v1->v2#again does not begin while spec.paused is set", None, ""),
        (
            course(5, Phase.SUCCEEDED, run="again", step=4), None,
            "the run v1->v2#again begins when spec.step is 0 or gone: it is 4, which was meant for another run", None, "",
        ),
        (course(5, Phase.SUCCEEDED), None, "nothing: the run has ended", None, ""),
        (course(1, Phase.ABORTED), evidence(1), "nothing: the run has ended", None, "retry"),
        (course(1, abort=True), evidence(1), "the run is aborted: v1 gets all traffic", None, ""),
        (course(1, abort=True, run="again"), evidence(1), "the run is aborted: v1 gets all traffic", None, ""),
        (course(1, paused=True), evidence(1), "the run is paused, as spec.paused asks", None, ""),
        (course(1, Phase.PAUSED), evidence(1), "a person has to look", None, "resume"),
        (course(0), None, "step 1/5 (setWeight 5) has to be live on every proxy", None, ""),
        (course(1), evidence(0), "step 2/5 (pause 10m) has to be live on every proxy", None, ""),
        (
            course(0), evidence(0, verified=False),
            "step 1/5 (setWeight 5) has to be live on every proxy, or the run is paused", 600, "",
        ),
        (course(0), evidence(0), "step 2/5 (pause 10m)", None, ""),
        (course(1), evidence(1), "step 3/5 (pause until promoted)", 600, ""),
        (course(1, step=3), evidence(1), "step 3/5 (pause until promoted), as spec.step asks", None, ""),
        (course(2), evidence(2), "a person has to promote it", None, "promote"),
        (course(2, step=3), evidence(2), "step 4/5 (analysis golden), as spec.step asks", None, ""),
        (course(3), evidence(3), "the analysis has to pass, then step 5/5 (setWeight 100)", None, ""),
        (
            course(3), evidence(3, **measuring("step-3")),
            "the analysis has to pass, then step 5/5 (setWeight 100)", 90, "",
        ),
        (
            course(3), evidence(3, **measuring("step-3", outcome=Outcome.PASS, passed=1)),
            "the analysis has to pass, then step 5/5 (setWeight 100)", 30, "",
        ),
        (
            course(3), evidence(3, **measuring("step-3", outcome=Outcome.PASS, passed=3)),
            "the analysis has to pass, then step 5/5 (setWeight 100)", None, "",
        ),
        (course(4), evidence(4), "the end", None, ""),
        (course(4, post=True), evidence(4), "the analysis after the last step", None, ""),
        (course(5), evidence(5), "the run succeeds", None, ""),
        (course(5, post=True), evidence(5, **measuring("post")), "the analysis after the last step has to pass", 90, ""),
    ],
)  # fmt: skip
def test_what_comes_next_is_said_with_its_time(
    walked: Course, known: Evidence | None, words: str, seconds: int | None, verb: str
) -> None:
    """For every place that a run can be at: what it waits for, until when, and what a person can do."""
    found = outlook(walked, known)
    due = None if found.due is None else (found.due - NOW).total_seconds()
    assert (found.words, due, found.verb) == (words, seconds, verb)


def test_evidence_of_another_run_says_nothing() -> None:
    """What the last run waited for is no matter of this one."""
    other = replace(evidence(1), run="v1->v2#old", aborted=Aborted(reason="x", at=NOW))
    assert outlook(course(1), other) == outlook(course(1), None)


def test_an_abort_that_main_lacks_comes_first() -> None:
    """It is in force already."""
    found = outlook(course(1), evidence(1, aborted=Aborted(reason="x", at=NOW)))
    assert found.words == "the abort is in force; the policy branch follows as soon as it can be moved"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step(set_weight=0.25), "setWeight 0.25"),
        (Step(set_header_route=SetHeaderRoute(name="qa")), "setHeaderRoute qa (remove)"),
        (Step(set_mirror_route=SetMirrorRoute(name="shadow", percentage=5)), "setMirrorRoute shadow"),
        (Step(set_mirror_route=SetMirrorRoute(name="shadow")), "setMirrorRoute shadow (remove)"),
        (Step(), "nothing"),
    ],
)
def test_every_step_has_words(step: Step, words: str) -> None:
    """Also those that are rare."""
    assert described(step) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (-5, "0s"),
        (59.6, "1m"),
        (252, "4m 12s"),
        (3600, "1h"),
        (3605, "1h 5s"),
        (90061, "1d 1h"),
        (864000, "10d"),
    ],
)
def test_durations_are_as_people_say_them(seconds: float, words: str) -> None:
    """In their two largest units."""
    assert said(seconds) == words


def test_what_is_said_of_a_run_is_what_the_engine_does() -> None:
    """Through a whole run: the time that is shown is the time at which the next commit comes, and never another one."""
    world = World(
        spec=rollout(
            steps=[{"setWeight": 5}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, {"pause": {"duration": "1h"}}]
        )
    )
    shown = []
    for _ in range(40):
        world.settle()
        found = outlook(world.course, world.evidence)
        if world.phase().ended:
            break
        assert found.due is not None
        step = world.step
        world.now = found.due - timedelta(seconds=1)
        world.settle()
        assert world.step == step
        world.now = found.due
        world.settle()
        assert world.step != step
        shown.append((step, found.words))
    assert world.phase() is Phase.SUCCEEDED
    assert shown == [(1, "step 3/5 (setWeight 50)"), (3, "step 5/5 (setWeight 100)")]


def test_a_laggard_has_until_the_time_that_is_shown() -> None:
    """A step that is not live in time is paused then, and not before."""
    world = World(spec=rollout(steps=[{"setWeight": 5}, {"pause": {}}]))
    world.turn()
    world.laggards = {WEB: "unreachable"}
    world.settle()
    found = outlook(world.course, world.evidence)
    assert found.due == world.now + timedelta(seconds=600)
    world.now = found.due - timedelta(seconds=1)
    world.settle()
    assert world.phase() is Phase.PROGRESSING
    world.now = found.due
    world.settle()
    assert (world.phase(), outlook(world.course, world.evidence).verb) == (Phase.PAUSED, "resume")


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (5, "a person has to look"),
        (100, "a person has to look; resuming sets v2 from 100% to 5%, step 1/5 (setWeight 5)"),
        (1, "a person has to look; resuming sets v2 from 1% to 5%, step 1/5 (setWeight 5)"),
    ],
)
def test_who_resumes_is_told_what_that_moves(weight: float, words: str) -> None:
    """A run that was paused because the canary had more, or less, goes on with what its step has."""
    paused = course(0, Phase.PAUSED)
    paused = replace(paused, status=paused.status.model_copy(update={"steps": paused.digest}))
    assert outlook(paused, None, weight=weight).words == words
