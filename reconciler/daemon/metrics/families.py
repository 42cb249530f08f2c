"""The table of all metrics: name, form, labels, meaning, and how many series there can be. The documentation is made of it.

Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` for what only grows, `_info` for facts, a timestamp
instead of an age.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_SERIES = 2000
"""Proxies, or rollouts, that get series of their own; of more, the first by name."""
MOST_CODES = 50
"""Codes of errors that one metric tells apart at a time."""

_STAGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_PASSES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_CONVERGENCE = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class Form(StrEnum):
    """What kind of metric it is, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric.

    Attributes:
        labels: Their names, in order.
        means: What it says, as a sentence.
        series: How many series it can have, in words.
        buckets: Upper limits, of a histogram.
    """

    name: str
    form: Form
    means: str
    series: str = "1"
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


BUILD = Family(
    name="reconciler_build_info",
    form=Form.GAUGE,
    labels=("version", "python"),
    means="Which reconciler runs. Always 1.",
)
STARTED = Family(
    name="reconciler_start_timestamp_seconds", form=Form.GAUGE, means="When the daemon began, in seconds since 1970."
)
READY = Family(
    name="reconciler_ready",
    form=Form.GAUGE,
    means="1 while the daemon can answer for the fleet: from the end of its first pass until it is told to stop.",
)
BUSY = Family(
    name="reconciler_busy_seconds",
    form=Form.GAUGE,
    means="How long the loop has been at what it does now; 0 while it waits.",
)

PASSES = Family(
    name="reconciler_passes_total",
    form=Form.COUNTER,
    labels=("scope", "result"),
    series="10",
    means="Passes that ended, over the `whole` fleet or the `part` that somebody asked for: `success`, `error` (the head is unusable, or "
    "something else failed), `refused` (a guard), `unconfirmed` (some proxy does not have its view), `bug`.",
)
TRIGGERS = Family(
    name="reconciler_pass_triggers_total",
    form=Form.COUNTER,
    labels=("trigger",),
    series="one per trigger, 9",
    means="Why passes ran. One pass can have several reasons.",
)
PASS_SECONDS = Family(
    name="reconciler_pass_duration_seconds",
    form=Form.HISTOGRAM,
    buckets=_PASSES,
    series="17",
    means="How long passes took.",
)
STAGE_SECONDS = Family(
    name="reconciler_pass_stage_duration_seconds",
    form=Form.HISTOGRAM,
    labels=("stage",),
    buckets=_STAGES,
    series="16 per stage, 11 stages",
    means="How long each stage of a pass took.",
)
LAST_PASS = Family(
    name="reconciler_last_pass_timestamp_seconds",
    form=Form.GAUGE,
    means="When the newest pass over the whole fleet ended, in seconds since 1970.",
)
LAST_SUCCESS = Family(
    name="reconciler_last_success_timestamp_seconds",
    form=Form.GAUGE,
    means="When the newest pass ended that found or brought every proxy to what the head asks for, in seconds since 1970.",
)
LAST_ERRORS = Family(
    name="reconciler_last_pass_errors",
    form=Form.GAUGE,
    labels=("code",),
    series=f"one per code that occurs, at most {MOST_CODES}",
    means="Errors of the newest pass over the whole fleet, by the code that errors.md explains.",
)
LAST_REFUSALS = Family(
    name="reconciler_last_pass_refusals",
    form=Form.GAUGE,
    labels=("code",),
    series=f"one per guard that objects, at most {MOST_CODES}",
    means="Objections of guards in the newest pass over the whole fleet.",
)
LAST_WARNINGS = Family(
    name="reconciler_last_pass_warnings",
    form=Form.GAUGE,
    labels=("code",),
    series=f"one per code that occurs, at most {MOST_CODES}",
    means="Warnings of the newest pass over the whole fleet: of policies, of registries, of forges, of what is about to end.",
)
HELD = Family(
    name="reconciler_changes_held",
    form=Form.GAUGE,
    labels=("by",),
    series="2",
    means="1 while a `freeze` or a `suspension` holds changes, whether or not any waits.",
)

CONVERGED = Family(
    name="reconciler_converged",
    form=Form.GAUGE,
    means="1 if the newest pass over the whole fleet proved that every proxy has what the head of the policy branch asks for.",
)
CONVERGENCE = Family(
    name="reconciler_convergence_seconds",
    form=Form.HISTOGRAM,
    buckets=_CONVERGENCE,
    series="16",
    means="From the time of a policy commit until every proxy was proven to have what it asks for. Once per commit that changes any proxy.",
)
APPLIED = Family(
    name="reconciler_applied_commit_info",
    form=Form.GAUGE,
    labels=("commit", "head", "ref"),
    means="Which commit the newest pass carried out, and which one the policy branch named. Always 1.",
)

PROXIES = Family(
    name="reconciler_proxies",
    form=Form.GAUGE,
    labels=("state",),
    series="one per state, 8",
    means="Proxies by how the newest pass left them. `pending`: they lack something that was not pushed.",
)
PROXY_VERIFIED = Family(
    name="reconciler_proxy_verified_timestamp_seconds",
    form=Form.GAUGE,
    labels=("proxy",),
    series=f"one per proxy, at most {MOST_SERIES}",
    means="When a proxy was last proven to have what a commit asks for, in seconds since 1970.",
)
PROXY_TROUBLE = Family(
    name="reconciler_proxy_trouble",
    form=Form.GAUGE,
    labels=("proxy", "state"),
    series=f"one per proxy that is not in sync, at most {MOST_SERIES}",
    means="1 for each proxy that is not in sync, with how the newest pass left it. Gone when it is.",
)

PUSHES = Family(
    name="reconciler_pushes_total",
    form=Form.COUNTER,
    labels=("outcome",),
    series="one per outcome, 7",
    means="Proxies that something was sent to, each once per pass, by what came of it.",
)
VERIFY_SECONDS = Family(
    name="reconciler_push_verified_seconds",
    form=Form.HISTOGRAM,
    buckets=_PASSES,
    series="17",
    means="From a pass's first push until a proxy that was pushed to was proven to have its view.",
)
RESOURCES = Family(
    name="reconciler_resources_changed_total",
    form=Form.COUNTER,
    labels=("type", "action", "cause"),
    series="54",
    means="Resources that were created, updated or deleted on proxies, by why: a `change` in Git, `drift`, or `discovery`.",
)
DRIFT = Family(
    name="reconciler_drift_corrected_total",
    form=Form.COUNTER,
    labels=("type",),
    series="one per type, 6",
    means="Resources that somebody changed behind Git's back, and that were put right.",
)
REJECTIONS = Family(
    name="reconciler_rejections_total",
    form=Form.COUNTER,
    labels=("type",),
    series="one per type, 7",
    means="Resources that proxies refused, each counted when it is first seen refused; `unknown` where Envoy does not name it.",
)
REFUSALS = Family(
    name="reconciler_guard_refusals_total",
    form=Form.COUNTER,
    labels=("code",),
    series="one per guard, about 15",
    means="Commits that a guard objected to, each counted once per guard.",
)
RECEIPTS = Family(
    name="reconciler_receipts_total", form=Form.COUNTER, means="Commits that were written on the record branch."
)
REVERTS = Family(
    name="reconciler_reverts_total",
    form=Form.COUNTER,
    means="Reverts that were committed on the policy branch for what proxies refused.",
)

MOVES = Family(
    name="reconciler_rollout_moves_total",
    form=Form.COUNTER,
    labels=("move",),
    series="one per move, 6",
    means="Steps of rollouts that became commits.",
)
ROLLOUT_PHASE = Family(
    name="reconciler_rollout_phase",
    form=Form.GAUGE,
    labels=("rollout", "phase"),
    series=f"5 per rollout, at most {MOST_SERIES} rollouts",
    means="1 for the phase that a rollout is in, 0 for the others.",
)
ROLLOUT_WEIGHT = Family(
    name="reconciler_rollout_weight_ratio",
    form=Form.GAUGE,
    labels=("rollout",),
    series=f"one per rollout, at most {MOST_SERIES}",
    means="Share of the traffic that Git gives the canary, from 0 to 1.",
)
ROLLOUT_STEP = Family(
    name="reconciler_rollout_step",
    form=Form.GAUGE,
    labels=("rollout",),
    series=f"one per rollout, at most {MOST_SERIES}",
    means="The step that a rollout is at, from 0; as many as it has once all are done.",
)
ROLLOUT_STEPS = Family(
    name="reconciler_rollout_steps",
    form=Form.GAUGE,
    labels=("rollout",),
    series=f"one per rollout, at most {MOST_SERIES}",
    means="How many steps a rollout has.",
)

GIT_LOOKS = Family(
    name="reconciler_git_looks_total",
    form=Form.COUNTER,
    labels=("result",),
    series="2",
    means="How often Git was asked for its head, with `success` or `error`.",
)
GIT_ERRORS = Family(
    name="reconciler_git_errors_total",
    form=Form.COUNTER,
    labels=("code",),
    series="one per code of Git's errors, about 20",
    means="Looks at Git that failed, by the code that errors.md explains.",
)
GIT_SUCCESS = Family(
    name="reconciler_git_last_success_timestamp_seconds",
    form=Form.GAUGE,
    means="When Git last answered, in seconds since 1970; 0 if it never did.",
)
ADMIN_ERRORS = Family(
    name="reconciler_admin_errors_total",
    form=Form.COUNTER,
    labels=("code",),
    series="one per code of a proxy's errors, about 10",
    means="Proxies that could not be asked in a pass, by the code that errors.md explains.",
)

REGISTRIES = Family(
    name="reconciler_registries",
    form=Form.GAUGE,
    labels=("state",),
    series="3",
    means="Registries by how well they are known: `live`, `stale`, `silent`.",
)
REGISTRY_UP = Family(
    name="reconciler_registry_up",
    form=Form.GAUGE,
    labels=("registry", "kind"),
    series="one per registry of Mesh.discovery",
    means="1 if a registry answers.",
)
REGISTRY_HEARD = Family(
    name="reconciler_registry_last_heard_timestamp_seconds",
    form=Form.GAUGE,
    labels=("registry",),
    series="one per registry that ever answered",
    means="When a registry last answered, in seconds since 1970.",
)
REGISTRY_SERVICES = Family(
    name="reconciler_registry_services",
    form=Form.GAUGE,
    labels=("registry",),
    series="one per registry",
    means="Services that a registry lists.",
)
REGISTRY_INSTANCES = Family(
    name="reconciler_registry_instances",
    form=Form.GAUGE,
    labels=("registry",),
    series="one per registry",
    means="Instances of these.",
)
REGISTRY_HELD = Family(
    name="reconciler_registry_held_losses",
    form=Form.GAUGE,
    labels=("registry",),
    series="one per registry",
    means="Losses that a registry reports and that are not believed yet.",
)

ADS_PROXIES = Family(
    name="reconciler_ads_proxies",
    form=Form.GAUGE,
    labels=("state",),
    series="2",
    means="Proxies on ADS: `connected`, or `gone`.",
)
ADS_UNSETTLED = Family(
    name="reconciler_ads_unsettled_proxies",
    form=Form.GAUGE,
    means="Connected proxies that have not answered all that they were sent.",
)
ADS_HELD = Family(
    name="reconciler_ads_held_resources",
    form=Form.GAUGE,
    means="Resources that proxies refused and have not got since, over all proxies.",
)

WEBHOOKS = Family(
    name="reconciler_webhook_deliveries_total",
    form=Form.COUNTER,
    labels=("kind", "result"),
    series="9 per kind of sender, 4 kinds",
    means="Webhooks that came, by what became of them: `woken`, `ping`, `event`, `branch`, `deleted`, `replay`; refused: `proof`, `body`, "
    "`secret`.",
)
REQUESTS = Family(
    name="reconciler_http_requests_total",
    form=Form.COUNTER,
    labels=("route", "method", "code"),
    series="a few per route; what is not served is one route, `other`",
    means="Requests that were answered.",
)

FAMILIES: tuple[Family, ...] = (
    BUILD, STARTED, READY, BUSY,
    PASSES, TRIGGERS, PASS_SECONDS, STAGE_SECONDS, LAST_PASS, LAST_SUCCESS, LAST_ERRORS, LAST_REFUSALS,
    LAST_WARNINGS, HELD,
    CONVERGED, CONVERGENCE, APPLIED,
    PROXIES, PROXY_VERIFIED, PROXY_TROUBLE,
    PUSHES, VERIFY_SECONDS, RESOURCES, DRIFT, REJECTIONS, REFUSALS, RECEIPTS, REVERTS,
    MOVES, ROLLOUT_PHASE, ROLLOUT_WEIGHT, ROLLOUT_STEP, ROLLOUT_STEPS,
    GIT_LOOKS, GIT_ERRORS, GIT_SUCCESS, ADMIN_ERRORS,
    REGISTRIES, REGISTRY_UP, REGISTRY_HEARD, REGISTRY_SERVICES, REGISTRY_INSTANCES, REGISTRY_HELD,
    ADS_PROXIES, ADS_UNSETTLED, ADS_HELD,
    WEBHOOKS, REQUESTS,
)  # fmt: skip
"""All of them, as the documentation shows them. The process' own (`process_*`) come from prometheus-client."""
