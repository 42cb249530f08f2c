"""Metrics over a world that tests turn by hand, and their samples as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from reconciler.cycle import Report
from reconciler.daemon import LastPass, State, Verified
from reconciler.daemon.metrics import Metrics, Sources
from reconciler.model.discovered import Standing
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.observation import Proof
from reconciler.model.plan import Action, Cause, Change, Plan, ProxyPlan
from reconciler.model.receipt import Outcome, OutcomeKind, Receipt
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.xds import NodeState

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = (Key("default", name) for name in "abc")


class World:
    """What the metrics read.

    Attributes:
        seconds: Since the start.
        commits: Times of commits, in seconds since the start.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.state = State(started=START)
        self.ready = True
        self.mesh: Mesh | None = None
        self.connections: Mapping[Key, NodeState] = {}
        self.standings: Sequence[Standing] = ()
        self.commits: dict[str, float] = {}
        self.metrics = Metrics(
            Sources(
                state=lambda: self.state,
                ready=lambda: self.ready,
                clock=self,
                ref="main",
                committed=self._committed,
                mesh=lambda: self.mesh,
                connections=lambda: self.connections,
                standings=lambda: self.standings,
            )
        )

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def passed(self, report: Report, *reasons: str, whole: bool = True) -> None:
        """A pass ends, for the loop's state and for its observers."""
        self.metrics.tally.passed(report, reasons=reasons, whole=whole)
        if whole:
            members = report.plan.proxies if report.plan is not None else ()
            verified = {
                item.proxy: Verified(at=self.now(), commit=report.applied, proof=Proof.EXACT) for item in members
            }
            self.state = State(
                started=START,
                last=LastPass(report=report, ended=self.now(), reasons=tuple(reasons)),
                verified={key: value for key, value in verified.items() if key in report.outcomes},
            )

    def samples(self) -> dict[str, float]:
        """Every sample of ours by its name and labels, as `name{label="value"}`."""
        text, media = self.metrics.exposition()
        assert media.startswith("text/plain; version=0.0.4")
        return {
            _name(item.name, item.labels): item.value
            for family in text_string_to_metric_families(text.decode())
            for item in family.samples
            if item.name.startswith("reconciler_")
        }

    def nonzero(self, prefix: str) -> dict[str, float]:
        """Those that begin so and are not 0, without what they have in common."""
        found = self.samples()
        return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix) and value}

    def _committed(self, commit: str) -> datetime | None:
        return START + timedelta(seconds=self.commits[commit]) if commit in self.commits else None


def _name(name: str, labels: Mapping[str, str]) -> str:
    return name + ("{" + ",".join(f"{key}={value}" for key, value in sorted(labels.items())) + "}" if labels else "")


def change(kind: ResourceType = ResourceType.ROUTE, cause: Cause = Cause.CHANGE, name: str = "r") -> Change:
    return Change(id=ResourceId(kind, name), action=Action.UPDATE, cause=cause)


def outcome(
    proxy: Key, kind: OutcomeKind = OutcomeKind.APPLIED, *rejected: ResourceId, pushed: bool = True
) -> Outcome:  # fmt: skip
    return Outcome(proxy=proxy, kind=kind, proof=Proof.EXACT, pushed=pushed, seconds=0.2, rejected=rejected)


def receipt(commit: str, word: str = "applied") -> Receipt:
    return Receipt(
        commit="r" + commit, at=START, subject="", policy_commit=commit, plan_digest="", outcome=word, proxies={}
    )


def report(
    commit: str,
    outcomes: Sequence[Outcome] = (),
    *,
    changes: Mapping[Key, Sequence[Change]] | None = None,
    last: Receipt | None = None,
    wrote: Receipt | None = None,
    **more: object,
) -> Report:
    """A pass for a commit over the proxies that it has outcomes or changes of."""
    changed = changes or {}
    keys = sorted({*changed, *(item.proxy for item in outcomes)})
    plan = Plan(commit=commit, proxies=tuple(ProxyPlan(proxy=key, changes=tuple(changed.get(key, ()))) for key in keys))
    return Report(
        head=commit,
        applied=commit,
        plan=plan,
        outcomes={item.proxy: item for item in outcomes},
        last=last,
        receipt=wrote,
        **more,  # type: ignore[arg-type]
    )
