from __future__ import annotations

import time
from pathlib import Path

import pytest

from reconciler.cli.demo.clone import Clone
from reconciler.cli.demo.example import weigh
from reconciler.cli.demo.receipts import RECORD, Said, said
from reconciler.cli.demo.walk import Landed, Left, Live, Walk
from reconciler.model.rollout import Phase
from reconciler.settings import shipped

RULES, ROLLOUT = "traffic.yaml", "rollout.yaml"
SPLIT = (shipped("policies") / "reviews" / "traffic.yaml").read_bytes()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A repository with a split of which v1 has all, and a rollout that nobody has begun."""
    files = {RULES: SPLIT, ROLLOUT: b"kind: Rollout\n"}
    return Clone(remote=tmp_path / "bare.git", path=tmp_path / "clone", files=files)


@pytest.fixture
def walk(clone: Clone) -> Walk:
    """Begins at the first commit."""
    return Walk(clone, rules=RULES, rollout=ROLLOUT, seen=clone.tip("main"))


def step(clone: Clone, percent: int, phase: str = "Progressing") -> str:
    """A commit that gives v2 a percentage."""
    files = {
        RULES: weigh(SPLIT, {"v1": 100 - percent, "v2": percent}),
        ROLLOUT: f"kind: Rollout\nstatus: {{phase: {phase}}}  # {time.monotonic_ns()}\n".encode(),
    }
    return clone.commit(f"v2 at {percent}%", files)


def record(clone: Clone, subject: str, policy: str, outcome: str = "applied") -> None:
    """One more commit on the record branch."""
    tip = clone.tip(RECORD)
    message = f"{subject}\n\nPolicy-Commit: {policy}\nOutcome: {outcome}\n"
    parents = ("-p", tip) if tip else ()
    commit = clone.git("commit-tree", "-m", message, *parents, "HEAD^{tree}")
    clone.git("push", "--quiet", "origin", f"{commit}:refs/heads/{RECORD}")


def test_receipts_are_read_from_their_trailers(clone: Clone) -> None:
    """The newest first; before the branch is there, there are none."""
    assert said(clone) == ()
    record(clone, "first", "aaaa", "partial")
    record(clone, "second", "bbbb")
    assert said(clone, count=5) == (Said("bbbb", "applied", "second"), Said("aaaa", "partial", "first"))
    assert [receipt.everywhere for receipt in said(clone, count=2)] == [True, False]
    assert said(clone) == (Said("bbbb", "applied", "second"),)


def test_each_commit_is_told_once_in_its_order(clone: Clone, walk: Walk) -> None:
    """Also where several have come between two looks, each with who wrote it."""
    assert walk.look() == []
    first, second = step(clone, 1), step(clone, 10)
    landed = [event for event in walk.look() if isinstance(event, Landed)]
    assert landed == [Landed(first, "Ada", "v2 at 1%"), Landed(second, "Ada", "v2 at 10%")]
    assert walk.look() == []
    assert (walk.stretch.weights, walk.phase) == ({"v1": 90.0, "v2": 10.0}, Phase.PROGRESSING)


def test_the_phase_is_that_of_the_last_look(clone: Clone, walk: Walk) -> None:
    """As the rollout's own file says; one that says nothing has not begun."""
    phases = [walk.phase]
    step(clone, 0, "Aborted")
    phases.append(walk.phase)
    walk.look()
    assert [*phases, walk.phase] == [Phase.PENDING, Phase.PENDING, Phase.ABORTED]


def test_a_split_is_live_once_a_receipt_says_so_of_every_proxy(clone: Clone, walk: Walk) -> None:
    """Not for a receipt of another commit, nor for one of some proxies; and it is told once."""
    before = clone.tip("main")
    commit = step(clone, 1)
    record(clone, "of before", before)
    walk.look()
    record(clone, "some", commit, "partial")
    assert walk.look() == []
    assert not walk.stretch.proof
    asked = time.monotonic()
    record(clone, "all of them", commit)
    record(clone, "evidence", commit)
    (event,) = walk.look()
    assert isinstance(event, Live)
    assert event.stretch.proof == "all of them"
    assert asked < event.stretch.live <= time.monotonic()
    assert walk.look() == []


def test_commits_that_leave_the_weights_are_one_stretch(clone: Clone, walk: Walk) -> None:
    """A pause is a commit too, and a receipt of it is as good."""
    step(clone, 1)
    walk.look()
    pause = step(clone, 1)
    assert [type(event) for event in walk.look()] == [Landed]
    record(clone, "the pause is live", pause)
    (event,) = walk.look()
    assert isinstance(event, Live)


def test_a_stretch_ends_when_main_was_last_seen_without_the_next(clone: Clone, walk: Walk) -> None:
    """What is counted until then can't have been split by the next one, however late that is noticed."""
    record(clone, "live", step(clone, 1))
    walk.look()
    begin = time.monotonic()
    walk.look()
    still = time.monotonic()
    step(clone, 10)
    left = [event for event in walk.look() if isinstance(event, Left)]
    assert [event.stretch.weights for event in left] == [{"v1": 99.0, "v2": 1.0}]
    assert begin <= left[0].stretch.last <= still
