"""Course: one rollout as one commit has it, ready to be walked: steps written out, analyses resolved to metrics.

Made once for each commit from (mesh, policy); whatever happens afterwards comes to the engine as evidence and facts. It knows
what is in force at each step, and nothing of how far the run has come in reality.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar

from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.rollout import Rollout, RolloutStatus, SetHeaderRoute, SetMirrorRoute, Step
from reconciler.rollouts.expansion import AnalysisUse, expand
from reconciler.rollouts.metric import Metric, Use, metrics_of

R = TypeVar("R", SetHeaderRoute, SetMirrorRoute)

BACKGROUND = "background"
POST = "post"

WEIGHT_TOLERANCE = 0.001
"""Percent that two weights may differ by and count as the same: the finest total that a split is written in is 100,000."""


def same_weight(one: float, other: float) -> bool:
    """Whether two weights, in percent, are the same as far as a split can say."""
    return abs(one - other) <= WEIGHT_TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An analysis of a course.

    Attributes:
        id: `background`, `step-<index>` or `post`.
        metrics: What it measures, in order.
        starting_step: The step from which on it measures.
    """

    id: str
    metrics: tuple[Metric, ...]
    starting_step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One rollout of one commit.

    Attributes:
        key: The Rollout's name.
        spec: As people wrote it.
        status: As `main` has it; Pending where nothing is written.
        steps: Written out, see `expansion`; the last weight is 100.
        digest: Of the steps, see `steps_digest`.
        background: What is measured beside the steps.
        post: What is measured after the last step.
        analyses: What steps measure, by index.
    """

    key: Key
    spec: Rollout
    status: RolloutStatus
    steps: tuple[Step, ...]
    digest: str
    background: Planned | None = None
    post: Planned | None = None
    analyses: Mapping[int, Planned] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def starts(self) -> bool:
        """Whether the spec asks for another run than `main` has."""
        return self.spec.run_name != self.status.run

    @property
    def progress_deadline(self) -> timedelta:
        """How long a step may take to be live, and an analysis beyond what it needs."""
        return timedelta(seconds=self.spec.progress_deadline_seconds)

    def weight_at(self, index: int) -> float:
        """Percent that the canary gets at a step: that of the last `setWeight` up to it, else 0."""
        weights = [step.set_weight for step in self.steps[: index + 1] if step.set_weight is not None]
        return weights[-1] if weights else 0.0

    def header_routes_at(self, index: int) -> tuple[SetHeaderRoute, ...]:
        """Header routes in force at a step, in the order in which their names first came; none once all steps are done."""
        found: dict[str, SetHeaderRoute] = {}
        for step in self._until(index):
            if (route := step.set_header_route) is not None:
                _put(found, route.name, route, gone=not route.match)
        return tuple(found.values())

    def mirror_routes_at(self, index: int) -> tuple[SetMirrorRoute, ...]:
        """Mirror routes in force at a step, in the order in which their names first came; none once all steps are done."""
        found: dict[str, SetMirrorRoute] = {}
        for step in self._until(index):
            if (route := step.set_mirror_route) is not None:
                _put(found, route.name, route, gone=route.removes)
        return tuple(found.values())

    def planned_at(self, index: int) -> tuple[Planned, ...]:
        """Analyses that may run at a step: the background's, then the step's own, or the one after the last step."""
        own = self.post if index >= len(self.steps) else self.analyses.get(index)
        beside = self.background if self.background and index >= self.background.starting_step else None
        return tuple(planned for planned in (beside, own) if planned is not None)

    def step_for(self, weight: float) -> int:
        """The last `setWeight` step that gives the canary no more than this percentage; 0 if none does."""
        fitting = (
            index
            for index, step in enumerate(self.steps)
            if step.set_weight is not None and step.set_weight <= weight + WEIGHT_TOLERANCE
        )
        return max(fitting, default=0)

    def _until(self, index: int) -> tuple[Step, ...]:
        return self.steps[: index + 1] if index < len(self.steps) else ()


def _put(found: dict[str, R], name: str, route: R, *, gone: bool) -> None:
    if gone:
        found.pop(name, None)
    else:
        found[name] = route


def steps_digest(steps: tuple[Step, ...]) -> str:
    """The first 16 hex digits of the SHA-256 of the steps' canonical JSON: equal for equal steps however they are written."""
    plain = [step.model_dump(mode="json", by_alias=True, exclude_defaults=True) for step in steps]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def course_of(mesh: Mesh, policy: Policy[Rollout]) -> Course:
    """The course of a rollout of a valid mesh; templates that it names are there."""
    expanded = expand(policy.spec)
    templates = {template.key: template.spec for template in mesh.analysis_templates}

    def planned(identity: str, use: AnalysisUse | None, start: int) -> Planned | None:
        if use is None:
            return None
        asked = Use(rollout=policy, templates=templates, background=identity == BACKGROUND)
        return Planned(id=identity, metrics=metrics_of(asked, use), starting_step=start)

    own = {
        index: planned(step_id(index), AnalysisUse(templates=step.analysis.templates, args=step.analysis.args), index)
        for index, step in enumerate(expanded.steps)
        if step.analysis is not None
    }
    background = expanded.background
    course = Course(
        key=policy.key,
        spec=policy.spec,
        status=policy.status or RolloutStatus(),
        steps=expanded.steps,
        digest=steps_digest(expanded.steps),
        background=planned(BACKGROUND, background, background.starting_step if background else 0),
        post=planned(POST, expanded.post, len(expanded.steps)),
        analyses=MappingProxyType({index: found for index, found in own.items() if found is not None}),
    )
    return _budgeted(course)


def step_id(index: int) -> str:
    """How the analysis of a step is called in evidence and queries."""
    return f"step-{index}"


def _budgeted(course: Course) -> Course:
    """Each compared metric gets an equal share of the rollout's false-alarm rate: together they keep it (Bonferroni)."""
    planned = [item for item in (course.background, *course.analyses.values(), course.post) if item is not None]
    compared = sum(metric.spec.compares for item in planned for metric in item.metrics)
    if not compared:
        return course
    rate = course.spec.false_alarm_rate / compared

    def shared(item: Planned | None) -> Planned | None:
        if item is None:
            return None
        metrics = (replace(metric, rate=rate) if metric.spec.compares else metric for metric in item.metrics)
        return replace(item, metrics=tuple(metrics))

    own = {index: shared(item) for index, item in course.analyses.items()}
    return replace(
        course,
        background=shared(course.background),
        post=shared(course.post),
        analyses=MappingProxyType({index: item for index, item in own.items() if item is not None}),
    )
