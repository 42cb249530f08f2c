"""Flagger's form of the steps, written out."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.origin import Origin
from reconciler.model.rollout import Rollout, Step
from reconciler.policy.checks.flagger import length
from reconciler.policy.checks.rollout import check_rollout
from reconciler.policy.findings import Report
from reconciler.rollouts.expansion import Expanded, expand

TARGET = {"target": {"virtualService": {"name": "reviews"}}, "stable": "v1", "canary": "v2"}
SUCCESS = {"name": "request-success-rate", "thresholdRange": {"min": 99}}


def spec(**fields: Any) -> Rollout:
    """A rollout of these fields."""
    return Rollout.model_validate_json(json.dumps({**TARGET, **fields}))


def flagger(**fields: Any) -> Expanded:
    """What an analysis of these fields expands to."""
    return expand(spec(analysis={"interval": "1m", **fields}))


def said(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    """Steps as YAML has them."""
    return [step.model_dump(mode="json", by_alias=True, exclude_defaults=True) for step in steps]


def weights(steps: tuple[Step, ...]) -> list[float]:
    """The weights of steps, in order."""
    return [step.set_weight for step in steps if step.set_weight is not None]


def test_each_weight_is_held_for_an_interval() -> None:
    """Flagger looks once an interval, and moves on: 5, 10, 15, then everything."""
    expanded = flagger(stepWeight=5, maxWeight=15)
    wait = {"pause": {"duration": "PT1M"}}
    assert said(expanded.steps) == [
        {"setWeight": 5.0}, wait, {"setWeight": 10.0}, wait, {"setWeight": 15.0}, wait, {"setWeight": 100.0},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stepWeight": 20, "maxWeight": 50}, [20, 40, 50, 100]),
        ({"stepWeight": 60}, [60, 100]),
        ({"stepWeight": 100}, [100]),
        ({"stepWeight": 50, "maxWeight": 20}, [20, 100]),
        ({"stepWeight": 0.1, "maxWeight": 0.3}, [0.1, 0.2, 0.3, 100]),
        ({"stepWeights": [1, 2, 10, 80]}, [1, 2, 10, 80, 100]),
        ({"stepWeights": [1, 100]}, [1, 100]),
        ({"iterations": 3}, [100]),
    ],
)
def test_a_weight_never_exceeds_the_most(fields: dict[str, Any], expected: list[float]) -> None:
    """20 and 50 are 20, 40, 50: Flagger itself would go to 60."""
    assert weights(flagger(**fields).steps) == expected


def test_copies_come_before_the_first_weight() -> None:
    """One interval of copies, which end before anybody gets the canary's answers: nobody is served twice."""
    first, wait, end, *rest = said(flagger(stepWeight=50, mirror=True, mirrorWeight=30).steps)
    assert (first, end) == (
        {"setMirrorRoute": {"name": "mirror", "percentage": 30.0}},
        {"setMirrorRoute": {"name": "mirror"}},
    )
    assert wait == rest[1] == {"pause": {"duration": "PT1M"}}
    assert rest[0] == {"setWeight": 50.0}


def test_iterations_move_everything_at_once() -> None:
    """Blue/green: nobody gets the canary for as long as it is looked at, and then everybody does."""
    assert said(flagger(iterations=10).steps) == [{"pause": {"duration": "PT10M"}}, {"setWeight": 100.0}]
    copied = said(flagger(iterations=10, mirror=True).steps)
    assert [next(iter(step)) for step in copied] == ["setMirrorRoute", "pause", "setMirrorRoute", "setWeight"]
    assert copied[0] == {"setMirrorRoute": {"name": "mirror", "percentage": 100.0}}


def test_an_ab_test_sends_who_matches_to_the_canary() -> None:
    """Each alternative is a header route of its own, whose conditions all have to hold; copies play no part."""
    match = [{"headers": {"x-a": {"exact": "a"}, "x-b": {}}}, {"headers": {"cookie": {"regex": ".*b.*"}}}]
    assert said(flagger(iterations=2, match=match, mirror=True).steps) == [
        {"setHeaderRoute": {"name": "match-1", "match": [
            {"headerName": "x-a", "headerValue": {"exact": "a"}}, {"headerName": "x-b", "headerValue": {"regex": ".*"}},
        ]}},
        {"setHeaderRoute": {"name": "match-2", "match": [{"headerName": "cookie", "headerValue": {"regex": ".*b.*"}}]}},
        {"pause": {"duration": "PT2M"}},
        {"setWeight": 100.0},
    ]  # fmt: skip


@pytest.mark.parametrize(("threshold", "limit"), [(None, 0), (0, 0), (1, 0), (5, 4)])
def test_a_threshold_is_the_failure_that_aborts(threshold: int | None, limit: int) -> None:
    """Flagger rolls back at the threshold, a failure limit is what is put up with: one less."""
    fields = {} if threshold is None else {"threshold": threshold}
    background = flagger(stepWeight=5, metrics=[SUCCESS], **fields).background
    assert background is not None
    (metric,) = background.metrics
    assert (metric.failure_limit, metric.interval) == (limit, timedelta(minutes=1))


def test_a_metric_keeps_what_it_says_itself() -> None:
    """What is written at the metric holds for it."""
    background = flagger(
        stepWeight=5, threshold=5, metrics=[{**SUCCESS, "interval": "30s", "failureLimit": 1}]
    ).background
    assert background is not None
    assert (background.metrics[0].failure_limit, background.metrics[0].interval) == (1, timedelta(seconds=30))


def test_the_last_weight_is_added_where_it_is_left_out() -> None:
    """Steps that end at less would leave a rollout half way for good."""
    assert weights(expand(spec(steps=[{"setWeight": 5}, {"pause": {}}])).steps) == [5, 100]
    assert weights(expand(spec(steps=[{"setWeight": 100}, {"pause": {}}])).steps) == [100]
    assert weights(expand(spec(steps=[{"setWeight": 100}, {"setWeight": 50}])).steps) == [100, 50, 100]


def test_analyses_of_plain_steps_are_taken_over() -> None:
    """A background analysis, and the one after the last step."""
    refs = {"templates": [{"templateName": "golden"}], "args": [{"name": "a", "value": "b"}]}
    expanded = expand(spec(steps=[{"setWeight": 5}], analysis={**refs, "startingStep": 1}, postPromotionAnalysis=refs))
    assert expanded.background is not None
    assert expanded.post is not None
    assert (expanded.background.starting_step, expanded.post.starting_step) == (1, 0)
    assert expanded.background.templates == expanded.post.templates
    assert expanded.background.args == expanded.post.args
    assert expand(spec(steps=[{"setWeight": 5}])) == Expanded(steps=(Step(set_weight=5), Step(set_weight=100)))


PERCENT = st.floats(min_value=0.5, max_value=100).map(lambda value: round(value, 2))
FLAGGERS = st.fixed_dictionaries(
    {},
    optional={"mirror": st.booleans(), "maxWeight": PERCENT, "threshold": st.integers(0, 9)},
).flatmap(
    lambda fields: st.one_of(
        PERCENT.map(lambda value: {**fields, "stepWeight": value}),
        st.lists(PERCENT, min_size=1, max_size=9).map(lambda values: {**fields, "stepWeights": sorted(values)}),
        st.integers(1, 50).map(lambda value: {**fields, "iterations": value}),
        st.integers(1, 50).map(lambda value: {**fields, "iterations": value, "match": [{"headers": {"x": {"exact": "a"}}}]}),
    )
)  # fmt: skip


@given(FLAGGERS)
def test_weights_rise_to_everything(fields: dict[str, Any]) -> None:
    """Whatever Flagger's form says: weights never fall, none but the last exceeds the most, and the last is 100."""
    rollout = spec(analysis={"interval": "1m", **fields})
    steps = expand(rollout).steps
    found = weights(steps)
    assert all(before <= after for before, after in pairwise(found))
    assert found[-1] == 100
    most = fields.get("maxWeight", 100) if "stepWeight" in fields else 100
    assert all(weight <= most for weight in found[:-1])
    assert rollout.analysis is not None
    assert length(rollout.analysis) == len(steps), "what validation knows of them"
    report = Report(Origin("x.yaml", 0))
    check_rollout(rollout, None, report)
    assert not report.failed


@given(FLAGGERS)
def test_what_is_written_out_expands_to_itself(fields: dict[str, Any]) -> None:
    """The steps that `validate --expand` prints can be put in the place of Flagger's form."""
    steps = flagger(**fields).steps
    written = [step.model_dump(mode="json", by_alias=True, exclude_defaults=True) for step in steps]
    for step in written:
        if "pause" in step:
            step["pause"]["duration"] = int(timedelta(minutes=fields.get("iterations", 1)).total_seconds())
    assert expand(spec(steps=written)).steps == steps
