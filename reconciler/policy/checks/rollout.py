"""Rules for one Rollout: what it moves, its steps one by one, and what is measured. Flagger's form is in `flagger`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from reconciler.model.analysis import TemplateRef
from reconciler.model.rollout import (
    Analysis,
    PostPromotionAnalysis,
    Rollout,
    SetHeaderRoute,
    SetMirrorRoute,
    Step,
    StepAnalysis,
)
from reconciler.policy.checks.analysis import check_arguments
from reconciler.policy.checks.destinations import SUBSET_HINT
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.flagger import check_flagger, length
from reconciler.policy.checks.formats import NAME_HINT, is_label, is_name, is_subset_name, is_token
from reconciler.policy.checks.matchers import check_matcher
from reconciler.policy.checks.matches import check_match
from reconciler.policy.checks.shared import idle, unique
from reconciler.policy.findings import Report

_FULL = 100
_KINDS = {
    "set_weight": "setWeight",
    "pause": "pause",
    "analysis": "analysis",
    "set_header_route": "setHeaderRoute",
    "set_mirror_route": "setMirrorRoute",
}


def check_rollout(spec: Rollout, written: Any, report: Report) -> None:
    """Everything that one document tells; `written` is its spec as it was parsed, where a number is still a number."""
    _check_target(spec, report)
    _check_subsets(spec, report)
    for number, step in enumerate(spec.steps):
        _check_step(step, report.below("steps", number))
    _check_seconds(written, report)
    _check_weights(spec.steps, report)
    _check_routes(spec.steps, report)
    if spec.analysis is not None:
        check_flagger(spec, spec.analysis, report)
        _check_analysis(spec.analysis, report, "analysis")
    elif not spec.steps:
        hint = "add `steps: [{setWeight: 5}, {pause: {duration: 10m}}]`, or Flagger's `analysis: {interval: 1m, ...}`"
        report.error("missing-field", "a rollout needs steps", "steps", hint=hint)
    if spec.post_promotion_analysis is not None:
        _check_analysis(spec.post_promotion_analysis, report, "postPromotionAnalysis")
    if not report.failed:
        _check_indices(spec, report)


def _check_target(spec: Rollout, report: Report) -> None:
    target, path = spec.target.virtual_service, ("target", "virtualService")
    namespace, slash, name = target.name.rpartition("/")
    if not is_name(name) or (slash and not is_label(namespace)):
        message = f"{target.name!r} is not `name` or `namespace/name` of a VirtualService"
        report.error("name", message, *path, "name", hint=NAME_HINT)
    unique(report, "the route", [(item, (*path, "routes", number)) for number, item in enumerate(target.routes)])
    for number, item in enumerate(target.routes):
        if not item:
            hint = "give the rule a name in its VirtualService"
            report.error("missing-field", "a route's name must not be empty", *path, "routes", number, hint=hint)


def _check_subsets(spec: Rollout, report: Report) -> None:
    for field, subset in (("stable", spec.stable), ("canary", spec.canary)):
        if not is_subset_name(subset):
            report.error("name", f"{subset!r} is not a valid subset name", field, hint=SUBSET_HINT)
    if spec.stable == spec.canary:
        message = f"stable and canary are both {spec.stable}"
        report.error("duplicate-value", message, "canary", hint="name the subset that is to take over")


def _check_step(step: Step, report: Report) -> None:
    given = [field for name, field in _KINDS.items() if getattr(step, name) is not None]
    if len(given) != 1:
        what = f"here are {', '.join(given)}" if given else "here is none"
        hint = "make a step of each" if given else "write `pause: {}` to wait for a person"
        message = f"a step has exactly one of {', '.join(_KINDS.values())}; {what}"
        report.error("one-of", message, hint=hint)
    if step.pause is not None:
        check_duration(step.pause.duration, report, "pause", "duration")
    if step.analysis is not None:
        _check_analysis(step.analysis, report, "analysis")
    if step.set_header_route is not None:
        _check_header_route(step.set_header_route, report.below("setHeaderRoute"))
    if step.set_mirror_route is not None:
        _check_mirror_route(step.set_mirror_route, report.below("setMirrorRoute"))


def _check_seconds(written: Any, report: Report) -> None:
    steps = written.get("steps") if isinstance(written, dict) else None
    for number, step in enumerate(steps or ()):
        pause = step.get("pause") if isinstance(step, dict) else None
        value = pause.get("duration") if isinstance(pause, dict) else None
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            message = f"a pause of {value} is taken as seconds, as in Argo Rollouts"
            path = ("steps", number, "pause", "duration")
            report.warning("pause-seconds", message, *path, hint=f"prefer {value}s")


def _check_weights(steps: Iterable[Step], report: Report) -> None:
    weights = [(number, step.set_weight) for number, step in enumerate(steps) if step.set_weight is not None]
    for (_, before), (number, weight) in pairwise(weights):
        if weight < before:
            message = f"the weight goes down again, from {before:g} to {weight:g}"
            report.warning("weight-falls", message, "steps", number, "setWeight", hint="put the steps in order")


def _check_routes(steps: Iterable[Step], report: Report) -> None:
    """Names of header and mirror routes: of one kind each, and set before they are taken away."""
    kinds: dict[str, str] = {}
    for number, step in enumerate(steps):
        for field, route, removes in _routes(step):
            path = ("steps", number, field, "name")
            if not is_label(route.name):
                report.error("name", f"{route.name!r} is not a route's name", *path, hint=NAME_HINT)
            elif kinds.setdefault(route.name, field) != field:
                message = f"{route.name} is the name of a {kinds[route.name]} already"
                report.error("duplicate-value", message, *path, hint="give each its own name")
            elif removes and route.name not in _set_before(steps, number):
                message = f"no step has set the route {route.name}, so there is nothing to take away"
                idle(report, message, "steps", number, field, hint="write its match, or remove the step")


def _routes(step: Step) -> Iterable[tuple[str, SetHeaderRoute | SetMirrorRoute, bool]]:
    if step.set_header_route is not None:
        yield "setHeaderRoute", step.set_header_route, not step.set_header_route.match
    if step.set_mirror_route is not None:
        yield "setMirrorRoute", step.set_mirror_route, step.set_mirror_route.removes


def _set_before(steps: Iterable[Step], number: int) -> set[str]:
    earlier = [step for position, step in enumerate(steps) if position < number]
    return {route.name for step in earlier for _, route, removes in _routes(step) if not removes}


def _check_header_route(route: SetHeaderRoute, report: Report) -> None:
    named = [(item.header_name.lower(), ("match", number, "headerName")) for number, item in enumerate(route.match)]
    unique(report, "the header", named)
    for number, item in enumerate(route.match):
        if not is_token(item.header_name):
            message = f"{item.header_name!r} is not a header's name"
            report.error("header-name", message, "match", number, "headerName", hint="letters, digits and '-'")
        hint = "write {regex: .*} for a header that is there, whatever it says"
        check_matcher(item.header_value, report, "match", number, "headerValue", hint=hint)


def _check_mirror_route(route: SetMirrorRoute, report: Report) -> None:
    for number, match in enumerate(route.match):
        check_match(match, report.below("match", number))
    if route.percentage == 0:
        idle(report, "0% is no copies at all", "percentage", hint="take the route away by its name alone")


def _check_analysis(analysis: Analysis | StepAnalysis | PostPromotionAnalysis, report: Report, field: str) -> None:
    _check_templates(analysis.templates, report, field, "templates")
    check_arguments(analysis.args, report, field, "args")


def _check_templates(templates: Iterable[TemplateRef], report: Report, *path: str | int) -> None:
    named = [(item.template_name, (*path, number, "templateName")) for number, item in enumerate(templates)]
    unique(report, "the template", named)
    for name, where in named:
        if not is_name(name):
            report.error("name", f"{name!r} is not a template's name", *where, hint=NAME_HINT)


def _check_indices(spec: Rollout, report: Report) -> None:
    """Steps that are asked for by their index."""
    count = _length(spec)
    if count is None:
        return
    if spec.step is not None and spec.step > count:
        message = f"there is no step {spec.step}; there are {count}, counted from 0"
        report.error("value", message, "step", hint=f"write {count} to promote fully")
    if spec.analysis is not None and spec.analysis.starting_step >= count:
        message = f"there is no step {spec.analysis.starting_step}; the last one is {count - 1}"
        report.error("value", message, "analysis", "startingStep", hint="steps are counted from 0")


def _length(spec: Rollout) -> int | None:
    """How many steps are walked; None if that can't be told."""
    if spec.analysis is not None and spec.analysis.interval is not None:
        return length(spec.analysis)
    weights = [step.set_weight for step in spec.steps if step.set_weight is not None]
    return len(spec.steps) + (0 if weights and weights[-1] == _FULL else 1) if spec.steps else None
