"""A course says what is in force at each step, and what is measured with which numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.model.mesh import Mesh
from reconciler.model.rollout import Phase, Rollout
from reconciler.rollouts.course import Course, course_of, steps_digest
from tests.rollouts.world import policy, rollout, template

HEADER = {"name": "testers", "match": [{"headerName": "x-tester", "headerValue": {"exact": "yes"}}]}


def course(spec: Rollout, *templates: object) -> Course:
    mesh = Mesh(rollouts=(policy(spec),), analysis_templates=tuple(templates))  # type: ignore[arg-type]
    return course_of(mesh, mesh.rollouts[0])


def test_a_weight_is_that_of_the_last_step_that_set_one() -> None:
    """Steps that set no weight keep the one before; before the first there is none."""
    found = course(rollout(steps=[{"pause": {}}, {"setWeight": 0.5}, {"pause": {"duration": "1m"}}, {"setWeight": 25}]))
    assert [found.weight_at(index) for index in range(6)] == [0, 0.5, 0.5, 25, 100, 100]
    assert len(found.steps) == 5
    assert found.status.phase is Phase.PENDING
    assert found.starts


def test_header_and_mirror_routes_hold_until_they_are_taken_away() -> None:
    """A route is in force from its step on, until a step of its name takes it away, and never after the last step."""
    steps = [
        {"setHeaderRoute": HEADER},
        {"setMirrorRoute": {"name": "copy", "percentage": 10}},
        {"setHeaderRoute": {"name": "testers"}},
        {"setMirrorRoute": {"name": "copy", "percentage": 20}},
        {"setWeight": 100},
    ]
    found = course(rollout(steps=steps))
    assert [len(found.header_routes_at(index)) for index in range(7)] == [1, 1, 0, 0, 0, 0, 0]
    mirrored = [[route.percentage for route in found.mirror_routes_at(index)] for index in range(7)]
    assert mirrored == [[], [10], [10], [20], [20], [], []]


def test_the_digest_is_of_the_steps_and_of_nothing_else() -> None:
    """Equal steps have one digest, however they are written; an edited weight has another."""
    plain = rollout(steps=[{"setWeight": 5}, {"pause": {"duration": 60}}])
    same = rollout(steps=[{"setWeight": 5.0}, {"pause": {"duration": "1m"}}, {"setWeight": 100}], canary="v3")
    other = rollout(steps=[{"setWeight": 6}, {"pause": {"duration": 60}}])
    endless = rollout(steps=[{"setWeight": 5}, {"pause": {}}])
    digests = [course(spec).digest for spec in (plain, same, other, endless)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert len(digests[0]) == 16
    assert digests[0] == steps_digest(course(plain).steps)


def test_arguments_of_the_use_go_before_those_of_the_template() -> None:
    """Placeholders get the rollout's names, and the arguments of whoever uses the template."""
    query = 'f{a="{{args.a}}",b="{{ args.b }}",s="{{stable}}",c="{{canary}}",t="{{target}}",n="{{namespace}}"}[{{interval}}]'
    source = {"prometheus": {"address": "http://p:9090", "query": query}}
    metric = {"name": "m", "interval": "90s", "thresholdRange": {"max": 1}, "provider": source}
    golden = template("golden", metric, args=[{"name": "a", "value": "1"}, {"name": "b"}])
    use = {"templates": [{"templateName": "golden"}], "args": [{"name": "b", "value": "2"}]}
    found = course(rollout(steps=[{"analysis": use}]), golden)
    (measured,) = found.analyses[0].metrics
    assert measured.name == "golden/m"
    assert measured.query == 'f{a="1",b="2",s="v1",c="v2",t="reviews",n="default"}[1m30s]'


def test_intervals_and_counts_have_the_defaults_of_where_they_are_used() -> None:
    """In the background a metric is measured every minute as long as the run goes; a step measures once."""
    golden = template("golden", {"name": "request-success-rate", "thresholdRange": {"min": 99}})
    use = {"templates": [{"templateName": "golden"}, {"templateName": "golden"}]}
    spec = rollout(steps=[{"analysis": use}], analysis={**use, "startingStep": 1}, postPromotionAnalysis=use)
    found = course(spec, golden)
    assert found.background is not None
    assert found.post is not None
    shown = [
        [(metric.interval, metric.count) for metric in planned.metrics]
        for planned in (found.background, found.analyses[0], found.post)
    ]
    assert shown == [[(timedelta(minutes=1), None)], [(timedelta(), 1)], [(timedelta(), 1)]]
    assert [[planned.id for planned in found.planned_at(index)] for index in range(3)] == [
        ["step-0"],
        ["background"],
        ["background", "post"],
    ]


def test_the_false_alarm_rate_is_shared_by_all_comparisons() -> None:
    """Each compared metric of each analysis gets an equal part, so that together they keep to the rollout's rate."""
    metric = {"name": "request-success-rate", "provider": {"envoy": {"compareTo": "stable"}}}
    plain = {"name": "request-duration", "thresholdRange": {"max": 500}}
    golden = template("golden", metric, plain)
    use = {"templates": [{"templateName": "golden"}]}
    steps = [{"setWeight": 5}, {"analysis": use}, {"setWeight": 50}, {"analysis": use}]
    found = course(rollout(steps=steps, analysis=use, postPromotionAnalysis=use, falseAlarmRate=0.02), golden)
    planned = [found.background, *found.analyses.values(), found.post]
    rates = [metric.rate for item in planned if item is not None for metric in item.metrics]
    assert rates == [0.005, 0] * 4
    assert sum(rates) == pytest.approx(0.02)


def test_where_a_weight_fits_among_the_steps() -> None:
    """After an edit of the steps a run goes on where the canary gets no more than it has."""
    found = course(
        rollout(steps=[{"setWeight": 5}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}, {"setWeight": 50}])
    )
    assert [found.step_for(weight) for weight in (0, 5, 10, 20, 49.9, 50, 100)] == [0, 0, 0, 2, 2, 4, 5]
