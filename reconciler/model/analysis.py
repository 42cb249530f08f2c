"""AnalysisTemplate: our own kind (`reconciler/v1alpha1`), what is measured and what of it is good enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.spec import Duration, Spec

SUCCESS_RATE = "request-success-rate"
"""Flagger's builtin: percent of requests that got no 5xx and no failure of the caller's proxy."""
DURATION = "request-duration"
"""Flagger's builtin: the 99th percentile of request times, in milliseconds."""
BUILTINS = (SUCCESS_RATE, DURATION)

Limit = Annotated[int, Field(ge=-1, strict=True)]


class TemplateRef(Spec):
    """A reference to an AnalysisTemplate.

    Attributes:
        template_name: Its name, in the namespace of who refers to it.
    """

    refused: ClassVar[Mapping[str, str]] = {"clusterScope": "templates belong to a namespace"}

    template_name: Annotated[str, Field(min_length=1)]


class Argument(Spec):
    """A value for `{{args.name}}` in queries.

    Attributes:
        name: Its name.
        value: Its value; a template's argument without one has to be given where the template is used.
    """

    refused: ClassVar[Mapping[str, str]] = {"valueFrom": "write the value, which is no secret, into the policy"}

    name: Annotated[str, Field(min_length=1)]
    value: str | None = None


class ThresholdRange(Spec):
    """What is good enough, both ends included.

    Attributes:
        min: At least this.
        max: At most this.
    """

    min: float | None = None
    max: float | None = None


class CompareTo(StrEnum):
    """What a canary is compared with. STABLE: the stable subset's requests of the same time."""

    STABLE = "stable"


class EnvoyProvider(Spec):
    """Envoy's own counters, at the callers.

    Attributes:
        compare_to: `stable` compares the canary's requests with stable's of the same time, by a test that may be looked at at any time;
            see docs/analysis.md. It needs no threshold, and may have one besides.
        percentile: Of request times, for `request-duration`; 99 by default.
        users: For callers that always get the same version (sticky sessions): how many independent users there are at least.
            Without it requests are taken to be spread one by one, as Envoy does, and where they are not nothing is concluded.
    """

    compare_to: CompareTo | None = None
    percentile: Annotated[float, Field(gt=0, lt=100)] = 99
    users: Annotated[int, Field(ge=1, strict=True)] | None = None


class PrometheusProvider(Spec):
    """A number that a Prometheus knows.

    Attributes:
        address: `http://host:port` or `https://host:port`, with a path if there is one.
        query: PromQL that gives one number; `{{args.name}}`, `{{namespace}}`, `{{target}}`, `{{stable}}`, `{{canary}}` and
            `{{interval}}` are filled in.
        timeout: For one query; 30s by default.
        token_file: Path on the daemon's host of a file with a bearer token; "" for none.
        insecure: Don't check the server's certificate.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "headers": "headers may hold secrets, which are never in Git; use tokenFile",
        "authentication": "use tokenFile",
    }

    address: Annotated[str, Field(min_length=1)]
    query: Annotated[str, Field(min_length=1)]
    timeout: Duration = timedelta(seconds=30)
    token_file: str = ""
    insecure: bool = False


class Provider(Spec):
    """Where a metric comes from: exactly one.

    Attributes:
        envoy: The callers' own counters; what the builtin names have where no provider is given.
        prometheus: A Prometheus.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "job",
            "web",
            "datadog",
            "newRelic",
            "wavefront",
            "cloudWatch",
            "graphite",
            "influxdb",
            "kayenta",
            "skywalking",
            "plugin",
        ),
        "there are the providers envoy and prometheus",
    )

    envoy: EnvoyProvider | None = None
    prometheus: PrometheusProvider | None = None


class MetricSpec(Spec):
    """One number, measured again and again.

    Attributes:
        name: Unique in its template. `request-success-rate` (percent) and `request-duration` (milliseconds) need no provider.
        interval: Between measurements; in an analysis step one measurement without it, in the background 60s.
        initial_delay: Before the first.
        count: How many measurements; 1 without an interval. With an interval and without a count a background analysis goes on, and a
            step's has one.
        min_requests: Requests of the canary that one measurement needs; with fewer it waits for more. 100 by default for Envoy's
            counters; not looked at for a Prometheus.
        threshold_range: What is good enough.
        failure_limit: Failed measurements that are put up with; one more fails the analysis. -1: any number.
        inconclusive_limit: Inconclusive measurements that are put up with; one more pauses the rollout. Too little traffic does not count.
        consecutive_error_limit: Errors of the provider in a row that are put up with; one more pauses the rollout.
        provider: Where it comes from.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "successCondition": "write it as thresholdRange",
        "failureCondition": "write it as thresholdRange",
        "consecutiveSuccessLimit": "use count",
        "templateRef": "list the template under the analysis' templates",
        "templateVariables": "use args",
        "query": "write it as provider.prometheus.query",
        "threshold": "write it as thresholdRange",
    }

    name: Annotated[str, Field(min_length=1)]
    interval: Duration | None = None
    initial_delay: Duration = timedelta()
    count: Annotated[int, Field(ge=1, strict=True)] | None = None
    min_requests: Annotated[int, Field(ge=0, strict=True)] = 100
    threshold_range: ThresholdRange | None = None
    failure_limit: Limit = 0
    inconclusive_limit: Limit = 0
    consecutive_error_limit: Limit = 4
    provider: Provider = Provider()

    @property
    def compares(self) -> bool:
        """Whether it is compared with stable."""
        return self.provider.envoy is not None and self.provider.envoy.compare_to is not None

    @property
    def envoy(self) -> EnvoyProvider | None:
        """How it is read from Envoy's counters; None if it comes from somewhere else."""
        if self.provider.envoy is None and self.provider.prometheus is None and self.name in BUILTINS:
            return EnvoyProvider()
        return self.provider.envoy


class AnalysisTemplate(Spec):
    """Measurements that belong together.

    Attributes:
        args: Arguments of its queries, with their defaults.
        metrics: All have to be good enough.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "dryRun": "remove the metric",
        "measurementRetention": "every measurement stays in the history of the record branch",
        "templates": "list the templates where the analysis is used",
    }

    args: tuple[Argument, ...] = ()
    metrics: Annotated[tuple[MetricSpec, ...], Field(min_length=1)]
