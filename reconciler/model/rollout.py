"""Rollout: our own kind (`reconciler/v1alpha1`), a canary that walks from step to step. Argo Rollouts' steps, in Git.

`spec` is written by people, `status` by the reconciler in the same commit as the weight. Progress is read from these two and
from the record branch, never from a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from reconciler.clock import parse_duration
from reconciler.model.analysis import Argument, MetricSpec, TemplateRef
from reconciler.model.spec import Duration, Spec
from reconciler.model.virtualservice import HTTPMatch, StringMatch


def _read_pause(value: Any) -> timedelta:
    """A duration, or a bare number of seconds as Argo Rollouts has it."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return timedelta(seconds=value)
    if not isinstance(value, str):
        raise ValueError("a pause's duration is a string like 10m, or a number of seconds")  # noqa: TRY004 -- pydantic wants ValueError
    return timedelta(seconds=int(value)) if value.isdecimal() else parse_duration(value)


PauseDuration = Annotated[timedelta, BeforeValidator(_read_pause)]
Weight = Annotated[float, Field(ge=0, le=100)]
"""Percent of the traffic that stable and canary share."""
StepIndex = Annotated[int, Field(ge=0, strict=True)]


class VirtualServiceTarget(Spec):
    """The splits that are moved.

    Attributes:
        name: The VirtualService, `name` or `namespace/name`.
        routes: Names of its `http` rules; may be left out where there is only one.
    """

    name: Annotated[str, Field(min_length=1)]
    routes: tuple[str, ...] = ()


class RolloutTarget(Spec):
    """What a rollout moves.

    Attributes:
        virtual_service: The splits. Each names both subsets, with a weight for each.
    """

    virtual_service: VirtualServiceTarget


class Pause(Spec):
    """A wait.

    Attributes:
        duration: How long, from when the step is verified on every proxy (`10m`; a bare number is seconds, as in Argo Rollouts).
            Without it the rollout waits until a person promotes it.
    """

    duration: PauseDuration | None = None


class HeaderRouteMatch(Spec):
    """One condition on a request's headers.

    Attributes:
        header_name: The header.
        header_value: Its value: exactly one of `exact`, `prefix` and `regex`.
    """

    header_name: Annotated[str, Field(min_length=1)]
    header_value: StringMatch


class SetHeaderRoute(Spec):
    """Requests that go to the canary whatever the weight is.

    Attributes:
        name: Names the route; a later step with this name and no `match` takes it away.
        match: Conditions that must all hold; none takes the route away.
    """

    name: Annotated[str, Field(min_length=1)]
    match: tuple[HeaderRouteMatch, ...] = ()


class SetMirrorRoute(Spec):
    """Requests of which the canary gets a copy; its answers are thrown away.

    Attributes:
        name: Names the route; a later step with this name, no `match` and no `percentage` takes it away.
        percentage: Share of the matching requests that are copied; all by default.
        match: Alternatives, as in a VirtualService; none (with a `percentage`) matches all that the target's rules match.
    """

    name: Annotated[str, Field(min_length=1)]
    percentage: Weight | None = None
    match: tuple[HTTPMatch, ...] = ()

    @property
    def removes(self) -> bool:
        """Whether it takes the route of its name away."""
        return not self.match and self.percentage is None


class StepAnalysis(Spec):
    """An analysis that has to pass before the next step.

    Attributes:
        templates: AnalysisTemplates of the rollout's namespace.
        args: Values for the templates' arguments, before the templates' own.
    """

    templates: Annotated[tuple[TemplateRef, ...], Field(min_length=1)]
    args: tuple[Argument, ...] = ()


class Step(Spec):
    """One step: exactly one of its fields.

    Attributes:
        set_weight: Percent that the canary gets; fractions of a percent too.
        pause: A wait: for a time, or for a person.
        analysis: Measurements that have to pass.
        set_header_route: Requests that go to the canary whatever the weight is.
        set_mirror_route: Requests of which the canary gets a copy.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "setCanaryScale": "workloads are not scaled here; scale the canary with what deploys it",
        "experiment": "workloads are not deployed here; deploy a baseline as a subset of its own",
        "plugin": "there are no step plugins",
        "replicaProgressThreshold": "workloads are not scaled here",
    }

    set_weight: Weight | None = None
    pause: Pause | None = None
    analysis: StepAnalysis | None = None
    set_header_route: SetHeaderRoute | None = None
    set_mirror_route: SetMirrorRoute | None = None


class Analysis(Spec):
    """What is measured in the background, able to abort at any time; or, with `interval`, Flagger's form of the steps.

    Flagger's fields expand to steps (`reconcile validate --expand` prints them) and stand in the place of `steps`.

    Attributes:
        templates: AnalysisTemplates of the rollout's namespace.
        args: Values for the templates' arguments.
        starting_step: The step from which on it measures, as an index from 0; 0 by default.
        interval: Flagger: time between steps.
        threshold: Flagger: failed checks after which the rollout is aborted, 1 by default; `failureLimit` plus one.
        max_weight: Flagger: percent that is promoted from; 100 by default.
        step_weight: Flagger: percent that each step adds.
        step_weights: Flagger: percent of each step, the last being the most.
        iterations: Flagger: how often is measured before all traffic moves at once; with `match`, an A/B test.
        match: Flagger: requests that go to the canary during `iterations`.
        mirror: Flagger: whether the canary gets copies of requests first.
        mirror_weight: Flagger: percent that is copied; 100 by default.
        metrics: Flagger: what is measured, in the place of templates; request-success-rate and request-duration need no query.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "stepWeightPromotion": "there is one workload for each version here, so nothing is shifted back",
        "canaryReadyThreshold": "a weight goes to the canary only while every caller sees a healthy endpoint of it",
        "primaryReadyThreshold": "a weight goes to stable only while every caller sees a healthy endpoint of it",
        "sessionAffinity": "write the cookie's route into the VirtualService",
        "webhooks": "gates are pauses that a commit ends; notifications stand in Mesh",
        "alerts": "notifications stand in Mesh",
        "dryRun": "remove the metric",
        "measurementRetention": "every measurement stays in the history of the record branch",
    }

    templates: tuple[TemplateRef, ...] = ()
    args: tuple[Argument, ...] = ()
    starting_step: StepIndex = 0
    interval: Duration | None = None
    threshold: Annotated[int, Field(ge=0, strict=True)] = 0
    max_weight: Weight | None = None
    step_weight: Weight | None = None
    step_weights: tuple[Weight, ...] = ()
    iterations: Annotated[int, Field(ge=0, strict=True)] = 0
    match: tuple[HTTPMatch, ...] = ()
    mirror: bool = False
    mirror_weight: Weight | None = None
    metrics: tuple[MetricSpec, ...] = ()


class PostPromotionAnalysis(Spec):
    """What is measured after the last step; while it runs the rollout can still be aborted.

    Attributes:
        templates: AnalysisTemplates of the rollout's namespace.
        args: Values for the templates' arguments.
    """

    templates: Annotated[tuple[TemplateRef, ...], Field(min_length=1)]
    args: tuple[Argument, ...] = ()


class Phase(StrEnum):
    """Where a rollout stands.

    PENDING: it has not begun. PROGRESSING: it walks by itself. PAUSED: it waits for a person; its status says why. SUCCEEDED: the
    canary has all traffic. ABORTED: stable has all traffic.
    """

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    SUCCEEDED = "Succeeded"
    ABORTED = "Aborted"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in {Phase.SUCCEEDED, Phase.ABORTED}


class RolloutStatus(Spec):
    """Where the run stands that `main` is meant to show. Written by the reconciler, in the commit that moves the weight.

    Attributes:
        phase: Where the run stands.
        step: Index of the step that it is at, from 0; the number of steps once all are done.
        run: Which run this is about: `<stable>-><canary>`, then `#<spec.run>` if that is set.
        steps: Digest of the steps that the run walks, to notice that somebody edits them on the way.
        reason: Why it is paused or aborted; "" otherwise.
    """

    phase: Phase = Phase.PENDING
    step: StepIndex = 0
    run: str = ""
    steps: str = ""
    reason: str = ""


class Rollout(Spec):
    """A canary in steps. A run starts when `stable`, `canary` or `run` changes.

    Attributes:
        target: What is moved.
        stable: The subset that has the traffic now.
        canary: The subset that gets it step by step.
        run: Any text; another one starts a new run of the same subsets, after an abort for instance.
        steps: In order; the last weight is 100 if the steps don't end with it.
        analysis: What is measured in the background, or Flagger's form of the steps.
        post_promotion_analysis: What is measured after the last step, before the run counts as succeeded.
        progress_deadline_seconds: How long a step may take to become live on every proxy (or an analysis to give a verdict) before
            the run is paused; 600 by default.
        max_laggards: How many proxies may not be verified at a step's weight without holding it.
        false_alarm_rate: Chance that a healthy run is aborted by comparisons with stable, over all its metrics, steps and looks;
            0.01 by default.
        paused: Hold the run where it is.
        abort: Give all traffic back to stable.
        step: Reach at least this step (an index from 0), whatever it waits for; as many as there are steps promotes fully.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "strategy": "write its fields into spec: steps and analysis; trafficRouting is `target`",
        "replicas": "workloads are not deployed here",
        "selector": "workloads are not deployed here; subsets choose instances",
        "template": "workloads are not deployed here",
        "workloadRef": "workloads are not deployed here; `target` names what is moved",
        "progressDeadlineAbort": "a deadline pauses; only evidence aborts, or a person",
        "rollbackWindow": "git revert takes one commit and one step",
        "skipAnalysis": "promote fully with spec.step, or leave the analysis out",
        "targetRef": "workloads are not deployed here; `target` names what is moved",
        "service": "write it as a VirtualService and name it in `target`",
    }

    target: RolloutTarget
    stable: Annotated[str, Field(min_length=1)]
    canary: Annotated[str, Field(min_length=1)]
    run: str = ""
    steps: tuple[Step, ...] = ()
    analysis: Analysis | None = None
    post_promotion_analysis: PostPromotionAnalysis | None = None
    progress_deadline_seconds: Annotated[int, Field(ge=1, strict=True)] = 600
    max_laggards: Annotated[int, Field(ge=0, strict=True)] = 0
    false_alarm_rate: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    paused: bool = False
    abort: bool = False
    step: StepIndex | None = None

    @property
    def run_name(self) -> str:
        """Which run the spec asks for; see `RolloutStatus.run`."""
        return f"{self.stable}->{self.canary}" + (f"#{self.run}" if self.run else "")
