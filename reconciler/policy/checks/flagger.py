"""Rules for Flagger's form of the steps (`analysis.interval` and what belongs to it), and for a background analysis in general."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

from reconciler.model.rollout import Analysis, Rollout
from reconciler.model.virtualservice import HTTPMatch
from reconciler.policy.checks.analysis import check_metrics
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.matches import check_match
from reconciler.policy.checks.shared import idle
from reconciler.policy.findings import Report

_FIELDS = {
    "threshold": "threshold",
    "max_weight": "maxWeight",
    "step_weight": "stepWeight",
    "step_weights": "stepWeights",
    "iterations": "iterations",
    "match": "match",
    "mirror": "mirror",
    "mirror_weight": "mirrorWeight",
    "metrics": "metrics",
}
_WAYS = ("stepWeight", "stepWeights", "iterations")
_FULL = 100.0
_MOST = 1_000
"""Steps that one rollout may have: each is a commit."""
_DIGITS = 6
_MIRRORING = 3
"""Steps that copies take: they begin, a wait, they end."""


def check_flagger(spec: Rollout, analysis: Analysis, report: Report) -> None:
    """Steps, or Flagger's form: one of the two, and of Flagger's forms one."""
    below = report.below("analysis")
    given = [field for name, field in _FIELDS.items() if getattr(analysis, name)]
    if analysis.interval is None:
        _check_plain(spec, analysis, given, report)
        return
    if spec.steps:
        message = "there are steps, and Flagger's form of them (analysis.interval)"
        report.error("one-of", message, "analysis", "interval", hint="keep one of the two", key=True)
        return
    check_duration(analysis.interval, below, "interval")
    ways = [field for field in given if field in _WAYS]
    if len(ways) != 1:
        what = f"here are {', '.join(ways)}" if ways else "here is none"
        message = f"Flagger's form has exactly one of {', '.join(_WAYS)}; {what}"
        below.error("one-of", message, ways[-1] if ways else "interval", hint="keep one of them", key=True)
        return
    _check_idle(analysis, below)
    _check_weights(analysis, below)
    for number, match in enumerate(analysis.match):
        _check_match(match, below.below("match", number))
    check_metrics(analysis.metrics, {item.name for item in analysis.args}, below, "metrics")


def length(analysis: Analysis) -> int:
    """How many steps Flagger's form expands to."""
    count = _MIRRORING if analysis.mirror and not analysis.match else 0
    if analysis.iterations:
        return (count or 1) + len(analysis.match) + 1
    last = analysis.step_weights[-1] if analysis.step_weights else _most(analysis)
    return count + 2 * _weights(analysis) + (0 if last == _FULL else 1)


def _check_plain(spec: Rollout, analysis: Analysis, given: list[str], report: Report) -> None:
    """A background analysis beside steps."""
    if given:
        message = f"analysis.{given[0]} belongs to Flagger's form, which has an interval"
        hint = "add analysis.interval in the place of steps, or remove it"
        report.error("missing-field", message, "analysis", given[0], hint=hint, key=True)
    elif not spec.steps:
        hint = "add `steps: [{setWeight: 5}, {pause: {duration: 10m}}]`, or Flagger's `analysis: {interval: 1m, ...}`"
        report.error("missing-field", "a rollout needs steps", "steps", hint=hint)
    elif not analysis.templates:
        hint = "write `templates: [{templateName: NAME}]`, or remove analysis"
        report.error("missing-field", "a background analysis needs templates", "analysis", "templates", hint=hint)


def _check_idle(analysis: Analysis, report: Report) -> None:
    """What Flagger looks at in other forms only."""
    if analysis.max_weight is not None and analysis.step_weight is None:
        idle(report, "maxWeight is for stepWeight", "maxWeight")
    if analysis.mirror_weight is not None and not analysis.mirror:
        idle(report, "mirrorWeight is for mirror", "mirrorWeight", hint="add `mirror: true`, or remove it")
    if analysis.match and not analysis.iterations:
        idle(report, "match is for iterations: by weights everybody takes part", "match", hint="use iterations")
    if analysis.mirror and analysis.match and analysis.iterations:
        idle(report, "there are no copies in an A/B test", "mirror", hint="remove mirror or match")
    if analysis.threshold and not analysis.metrics:
        idle(report, "threshold is for metrics; those of a template have a failureLimit", "threshold")


def _check_weights(analysis: Analysis, report: Report) -> None:
    for field, weight in (("stepWeight", analysis.step_weight), ("maxWeight", analysis.max_weight)):
        if weight == 0:
            report.error("value", f"{field} must be more than 0", field, hint="the least is 0.1 or so")
            return
    if _weights(analysis) > _MOST or analysis.iterations > _MOST:
        field = "stepWeight" if analysis.step_weight is not None else "iterations"
        report.error("value", f"there would be more than {_MOST:,} steps", field, hint="take larger steps")
    for number, (before, weight) in enumerate(pairwise(analysis.step_weights), 1):
        if weight < before:
            message = f"the weight goes down again, from {before:g} to {weight:g}"
            report.warning("weight-falls", message, "stepWeights", number, hint="put the weights in order")


def _check_match(match: HTTPMatch, report: Report) -> None:
    check_match(match, report)
    others = sorted(match.model_fields_set - {"headers", "name"})
    if others:
        field = str(HTTPMatch.model_fields[others[0]].alias)
        message = f"requests of an A/B test are chosen by headers; {field} is not carried out here"
        report.error("unsupported-field", message, field, hint="remove it; a cookie is a header too", key=True)
    elif not match.headers:
        report.error("missing-field", "a match needs headers", "headers", hint="without any, all requests match")


def _most(analysis: Analysis) -> float:
    return _FULL if analysis.max_weight is None else analysis.max_weight


def _weights(analysis: Analysis) -> int:
    """How many weights there are."""
    if analysis.step_weights or not analysis.step_weight:
        return len(analysis.step_weights)
    return max(1, ceil(round(_most(analysis) / analysis.step_weight, _DIGITS)))
