from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.cli.knowledge import DaemonKnowledge
from reconciler.cli.shapes import INVENTORY, fits, registries_fit
from reconciler.cycle import Desired, Inventory, Report
from reconciler.daemon import GitState, LastPass, State, Verified
from reconciler.errors import Diagnostic, TransientError
from reconciler.model.discovered import NOTHING, Held, Knowledge, Standing
from reconciler.model.freeze import Suspension
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.observation import Proof
from reconciler.model.plan import Action, Cause, Change, Plan, ProxyPlan
from reconciler.model.proxy import MeshSpec
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.web import NotReadyError
from reconciler.xds import Hold, NodeState

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = (Key("default", name) for name in "abc")


class At:
    """A clock that stands."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def knowledge(
    state: State, nodes: Mapping[Key, NodeState] | None = None, *, at: float = 0, streams: bool = False
) -> DaemonKnowledge:
    return DaemonKnowledge(
        state=lambda: state,
        connections=lambda: nodes or {},
        clock=At(at),
        repository="/srv/p.git",
        ref="main",
        admins=lambda: {Key("default", "a"): "unix:///run/a.sock"},
        streams=streams,
    )


def passed(**outcomes: OutcomeKind) -> LastPass:
    keys = {Key("default", name): kind for name, kind in outcomes.items()}
    report = Report(
        head="c2", applied="c2",
        plan=Plan(commit="c2", proxies=tuple(ProxyPlan(proxy=key) for key in keys)),
        outcomes={key: Outcome(proxy=key, kind=kind, proof=Proof.ACKED, detail="d") for key, kind in keys.items()},
        errors=(Diagnostic(code="x", message="m"),),
    )  # fmt: skip
    return LastPass(report=report, ended=START, reasons=("poll",))


def test_it_is_ready_from_the_end_of_the_first_pass_until_it_is_told_to_stop() -> None:
    """Whatever came of the pass: a fleet in trouble needs its control plane in the load balancer all the more."""
    assert knowledge(State(started=START)).readiness() == "the first pass has not ended"
    ready = State(started=START, last=passed(a=OutcomeKind.UNREACHABLE))
    assert knowledge(ready).readiness() == ""
    assert knowledge(State(started=START, last=ready.last, stopping=True)).readiness() == "the daemon is stopping"


def test_with_streams_it_is_ready_when_something_was_published_for_those_who_are_there() -> None:
    """An Envoy that finds a daemon which has nothing for it would wait; one that comes later makes nobody unready."""
    nodes = {A: NodeState(connected=True), B: NodeState()}
    state = State(started=START, last=passed(a=OutcomeKind.SKIPPED, b=OutcomeKind.UNREACHABLE))
    found = knowledge(state, nodes, streams=True)
    assert found.readiness() == "nothing has been published yet for a"
    nodes[A] = NodeState(connected=True, published=True)
    assert found.readiness() == ""
    nodes[B] = NodeState(connected=True)
    assert found.readiness() == ""
    assert state.last is not None
    nothing = replace(state.last, report=replace(state.last.report, applied=""))
    assert "no commit" in knowledge(State(started=START, last=nothing), streams=True).readiness()


def test_the_status_says_how_old_what_is_known_of_git_is() -> None:
    """Whoever reads that the fleet is where Git says has to know since when Git has not been seen."""
    problem = TransientError("no route", code="git-unavailable")
    git = GitState(asked=START + timedelta(hours=1), answered=START, problem=problem)
    assert knowledge(State(started=START, git=git)).status()["git"] == {
        "asked": "2026-01-01T01:00:00+00:00",
        "answered": "2026-01-01T00:00:00+00:00",
        "errors": [item.as_json() for item in problem.diagnostics],
    }
    assert knowledge(State(started=START)).status()["git"] == {"asked": None, "answered": None, "errors": []}


def test_it_is_healthy_unless_a_pass_hangs() -> None:
    """A loop that waits is well however long it does; one that has been at the same thing for five minutes is not."""
    assert knowledge(State(started=START), at=10_000).health() == ""
    busy = State(started=START, busy_since=100.0)
    assert knowledge(busy, at=399).health() == ""
    assert knowledge(busy, at=401).health() == "a pass has been running for 301 s"


def test_the_status_joins_what_the_passes_and_the_streams_know() -> None:
    """Every proxy that either knows is there once, in order, and what is unknown is null."""
    state = State(
        started=START,
        last=passed(a=OutcomeKind.APPLIED, b=OutcomeKind.REJECTED),
        verified={A: Verified(at=START, commit="c2", proof=Proof.EXACT)},
    )
    hold = Hold(version="v2", words="no\x1b such cluster", at=START)
    nodes = {
        C: NodeState(connected=True, since=START, peer="127.0.0.1:4", client="envoy/1.40.0", variant="delta"),
        B: NodeState(
            acked={ResourceType.ROUTE: "v1", ResourceType.CLUSTER: "s1"},
            waiting=frozenset({ResourceType.LISTENER}),
            held={ResourceId(ResourceType.ROUTE, "80"): hold},
        ),
    }
    document = knowledge(state, nodes, at=5).status()
    assert json.loads(json.dumps(document)) == document
    assert (document["schema_version"], document["ref"], document["repository"]) == (1, "main", "/srv/p.git")
    assert (document["ready"], document["now"]) == (True, "2026-01-01T00:00:05+00:00")
    assert document["pass"]["errors"] == [{"code": "x", "severity": "error", "message": "m", "hint": ""}]
    a, b, c = document["proxies"]
    assert [item["proxy"] for item in (a, b, c)] == ["default/a", "default/b", "default/c"]
    assert (a["outcome"], a["proof"], a["revision"], a["verified_at"]) == ("applied", "acked", "c2", START.isoformat())
    assert a["connection"] is None
    assert (a["admin"], b["admin"]) == ("unix:///run/a.sock", None)
    assert (b["outcome"], b["revision"], b["verified_at"]) == ("rejected", None, None)
    assert b["connection"]["acked"] == {"cluster": "s1", "route": "v1"}
    assert b["connection"]["waiting"] == ["listener"]
    assert b["connection"]["held"] == [
        {"type": "route", "name": "80", "version": "v2", "words": "no\x1b such cluster", "at": START.isoformat()}
    ]
    assert (c["outcome"], c["connection"]["connected"], c["connection"]["client"]) == (None, True, "envoy/1.40.0")


def test_a_daemon_that_has_done_nothing_says_so() -> None:
    """Before the first pass there is a document too."""
    document = knowledge(State(started=START)).status()
    assert (document["pass"], document["proxies"], document["ready"]) == (None, [], False)
    assert document["reason"] == "the first pass has not ended"


def test_what_a_pass_did_not_bring_a_proxy_is_pending() -> None:
    """Its changes are counted unless it has them."""
    change = Change(id=ResourceId(ResourceType.ROUTE, "80"), action=Action.CREATE, cause=Cause.CHANGE)
    last = passed(a=OutcomeKind.APPLIED, b=OutcomeKind.REJECTED)
    plan = Plan(commit="c2", proxies=tuple(ProxyPlan(proxy=key, changes=(change,)) for key in (A, B, C)))
    state = State(started=START, last=replace(last, report=replace(last.report, plan=plan)))
    found = {item["proxy"]: item["pending"] for item in knowledge(state).status()["proxies"]}
    assert found == {"default/a": 0, "default/b": 1, "default/c": 1}


def test_the_status_has_the_registries_as_they_stand() -> None:
    """Since when one does not answer, why, and what of its losses is not believed yet."""
    held = Held(host="b", had=4, has=0, since=START, until=START + timedelta(minutes=5))
    stale = Standing(
        registry="files", kind="file_sd", knowledge=Knowledge.STALE, heard=START, since=START, services=2, instances=4,
        problem=Diagnostic(code="x", message="gone", hint="h"), held=(held,), flapping=("b 10.0.0.1",),
    )  # fmt: skip
    told = DaemonKnowledge(
        state=lambda: State(started=START), connections=dict, clock=At(5), repository="r", ref="main",
        standings=lambda: (stale,),
    )  # fmt: skip
    (found,) = told.status()["registries"]
    assert found == {
        "registry": "files", "kind": "file_sd", "state": "stale", "heard": START.isoformat(), "since": START.isoformat(),
        "problem": {"code": "x", "severity": "error", "message": "gone", "hint": "h"}, "services": 2, "instances": 4,
        "held": [
            {"host": "b", "had": 4, "has": 0, "since": START.isoformat(), "until": "2026-01-01T00:05:00+00:00"},
        ],
        "flapping": ["b 10.0.0.1"],
    }  # fmt: skip
    assert registries_fit([found])


def test_the_status_says_what_holds_changes() -> None:
    """Of the commit in force, at the time of the question: it ends without a pass."""
    spec = MeshSpec(suspend=Suspension(reason="incident", until="2026-01-01T00:01:00Z", by="Ann"))
    mesh = Mesh(settings=spec)
    desired = Desired(commit="c2", mesh=mesh, source=mesh, templates={}, views={}, warnings=(), notes={})

    def held(at: float) -> object:
        told = DaemonKnowledge(
            state=lambda: State(started=START), connections=dict, clock=At(at), repository="r", ref="main",
            inventory=lambda: Inventory(desired=desired, services=(), catalogue=NOTHING),
        )  # fmt: skip
        return told.status()["held"]

    words = "changes are suspended by Ann until 2026-01-01T00:01:00Z: incident"
    assert held(0) == {"suspended": words, "frozen": "", "rollouts": words, "until": "2026-01-01T00:01:00Z"}
    assert held(60) is None
    assert knowledge(State(started=START)).status()["held"] is None


def test_a_silent_registry_does_not_make_a_daemon_unready() -> None:
    """It serves what it has, and a guard keeps what is not known in place; balancers must not take its proxies away for it."""
    silent = Standing(registry="files", kind="file_sd", knowledge=Knowledge.SILENT)
    told = DaemonKnowledge(
        state=lambda: State(started=START, last=passed()), connections=dict, clock=At(5), repository="r", ref="main",
        standings=lambda: (silent,),
    )  # fmt: skip
    assert told.readiness() == ""


def test_services_are_not_known_before_a_pass_has_read_them() -> None:
    """An empty list would say that there are none."""
    with pytest.raises(NotReadyError, match="no pass has read the services yet"):
        knowledge(State(started=START)).services()


def test_the_services_are_those_of_the_commit_in_force() -> None:
    """With whom they were asked of, and when."""
    desired = Desired(
        commit="c2", mesh=Mesh(), source=Mesh(), templates={}, views={}, warnings=(), notes={},
    )  # fmt: skip
    told = DaemonKnowledge(
        state=lambda: State(started=START), connections=dict, clock=At(5), repository="r", ref="main",
        inventory=lambda: Inventory(desired=desired, services=(), catalogue=NOTHING),
    )  # fmt: skip
    document = told.services()
    assert (document["commit"], document["now"], document["services"]) == ("c2", "2026-01-01T00:00:05+00:00", [])
    assert fits(document, INVENTORY)
