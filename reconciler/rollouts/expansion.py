"""A rollout's steps as they are walked: Flagger's form written out, and the last weight added where it is left out.

First of all in a rollout's way, and all of `spec` that the engine, the overlay and `validate --expand` know of its steps. Flagger's
semantics are those of its `pkg/controller/scheduler.go`, but for the clamp: a weight never exceeds `maxWeight` (Flagger's 20/50
runs 20, 40, 60).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from reconciler.model.analysis import Argument, MetricSpec, TemplateRef
from reconciler.model.rollout import (
    Analysis,
    HeaderRouteMatch,
    Pause,
    Rollout,
    SetHeaderRoute,
    SetMirrorRoute,
    Step,
)
from reconciler.model.virtualservice import HTTPMatch, StringMatch

FULL = 100.0
"""Percent of everything."""

_MIRROR, _MATCH = "mirror", "match"
_ANYTHING = StringMatch(regex=".*")
_DIGITS = 6
"""Decimal places of a weight: `stepWeight: 0.1` is to come to 0.3 in the third step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisUse:
    """An analysis as a rollout uses it.

    Attributes:
        templates: AnalysisTemplates of the rollout's namespace.
        args: Values for their arguments.
        metrics: Measured besides: those that stand in the rollout itself.
        starting_step: The step from which on it measures, as an index from 0.
    """

    templates: tuple[TemplateRef, ...] = ()
    args: tuple[Argument, ...] = ()
    metrics: tuple[MetricSpec, ...] = ()
    starting_step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """What a rollout walks.

    Attributes:
        steps: In order; the last weight is 100. A step's analysis stands in it.
        background: Measured beside the steps; None for nothing.
        post: Measured after the last step; None for nothing.
    """

    steps: tuple[Step, ...]
    background: AnalysisUse | None = None
    post: AnalysisUse | None = None


def expand(spec: Rollout) -> Expanded:
    """The steps of a valid rollout, whichever form they are written in."""
    sugar = spec.analysis if spec.analysis is not None and spec.analysis.interval is not None else None
    steps = spec.steps if sugar is None else tuple(_written_out(sugar, sugar.interval or timedelta()))
    weights = [step.set_weight for step in steps if step.set_weight is not None]
    if not weights or weights[-1] != FULL:
        steps = (*steps, Step(set_weight=FULL))
    after = spec.post_promotion_analysis
    post = AnalysisUse(templates=after.templates, args=after.args) if after is not None else None
    return Expanded(steps=steps, background=_background(spec.analysis), post=post)


def _background(analysis: Analysis | None) -> AnalysisUse | None:
    if analysis is None or not (analysis.templates or analysis.metrics):
        return None
    return AnalysisUse(
        templates=analysis.templates,
        args=analysis.args,
        metrics=tuple(_checked(metric, analysis) for metric in analysis.metrics),
        starting_step=analysis.starting_step,
    )


def _checked(metric: MetricSpec, analysis: Analysis) -> MetricSpec:
    """A metric of Flagger's form: checked at each interval, with as many failures as stay below the threshold."""
    defaults = {
        "interval": metric.interval or analysis.interval,
        "failure_limit": max(analysis.threshold, 1) - 1,
    }
    said = metric.model_fields_set if metric.interval is not None else metric.model_fields_set - {"interval"}
    return metric.model_copy(update={name: value for name, value in defaults.items() if name not in said})


def _written_out(analysis: Analysis, interval: timedelta) -> Iterator[Step]:
    if analysis.iterations:
        yield from _iterations(analysis, interval)
        return
    mirrored = [*_mirrored(analysis, interval)]
    yield from mirrored
    for weight in _weights(analysis):
        yield Step(set_weight=weight)
        yield Step(pause=Pause(duration=interval))


def _iterations(analysis: Analysis, interval: timedelta) -> Iterator[Step]:
    """All traffic at once after some checks: of requests that match (A/B), of copies, or of whatever else reaches the canary."""
    whole = interval * analysis.iterations
    for number, match in enumerate(analysis.match, 1):
        yield Step(set_header_route=SetHeaderRoute(name=f"{_MATCH}-{number}", match=_conditions(match)))
    if analysis.match or not analysis.mirror:
        yield Step(pause=Pause(duration=whole))
    else:
        yield from _mirrored(analysis, whole)


def _mirrored(analysis: Analysis, time: timedelta) -> Iterator[Step]:
    if analysis.mirror:
        share = FULL if analysis.mirror_weight is None else analysis.mirror_weight
        yield Step(set_mirror_route=SetMirrorRoute(name=_MIRROR, percentage=share))
        yield Step(pause=Pause(duration=time))
        yield Step(set_mirror_route=SetMirrorRoute(name=_MIRROR))


def _conditions(match: HTTPMatch) -> tuple[HeaderRouteMatch, ...]:
    """The headers of a match; one that only has to be there may have any value."""
    return tuple(
        HeaderRouteMatch(header_name=name, header_value=_ANYTHING if value == StringMatch() else value)
        for name, value in match.headers.items()
    )


def _weights(analysis: Analysis) -> Iterator[float]:
    """`stepWeights` as they stand, or multiples of `stepWeight` up to `maxWeight`, which is reached."""
    if analysis.step_weights:
        yield from analysis.step_weights
        return
    most = FULL if analysis.max_weight is None else analysis.max_weight
    step, number = analysis.step_weight or most, 1
    while (weight := round(step * number, _DIGITS)) < most:
        yield weight
        number += 1
    yield most
