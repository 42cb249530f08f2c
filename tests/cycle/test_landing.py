"""Writing steps to a branch that does not take them: real commits and hooks, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.cycle import Ask, Compiler, silent
from reconciler.cycle.report import Stopwatch
from reconciler.cycle.walking.landing import Landing, Outcome
from reconciler.gitrepo import open_repository
from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.course import course_of
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.engine import Turn
from reconciler.rollouts.evidence import Evidence
from reconciler.settings import GitSettings
from tests.e2e.canary import ROLLOUT
from tests.e2e.rig import GATEWAY, MESH, ROUTES, SERVICE
from tests.forge.conftest import Hand
from tests.forge.hosted import Hosted

FILES = {
    "policies/mesh.yaml": MESH,
    "policies/details.yaml": SERVICE % {"v1": 9001, "v2": 9002},
    "policies/routes.yaml": ROUTES % {"v1": 100, "v2": 0},
    "policies/edge.yaml": GATEWAY
    % {"name": "edge", "port": 8080, "admin": "/run/edge.sock", "directory": "/var/lib/edge"},
    "policies/rollout.yaml": ROLLOUT % {"fields": "", "steps": "  - setWeight: 30"},
}


@pytest.fixture
def hosted(tmp_path: Path) -> Hosted:
    """A repository that counts what is pushed to its protected main."""
    hosted = Hosted(tmp_path / "hosted.git", {path: text.encode() for path, text in FILES.items()})
    hook = hosted.git_dir / "hooks" / "update"
    hook.write_text(hook.read_text().replace("main)\n", f"main)\n  echo >> {tmp_path / 'tries'}\n", 1))
    (tmp_path / "tries").touch()
    return hosted


@pytest.fixture
def land(hosted: Hosted, tmp_path: Path) -> Iterator[Callable[..., tuple[Outcome, int]]]:
    """Lands the start of the run, or a move that says the same; yields how often main was pushed to so far as well."""
    clock, compiler = Hand(), Compiler()
    with open_repository(f"file://{hosted.git_dir}", GitSettings(cache=tmp_path / "cache")) as repository:
        landing = Landing(repository, clock, attempts=5)

        def land(*, after: float = 0.0, move: Move = Move.START) -> tuple[Outcome, int]:
            clock.sleep(after)
            repository.fetch()
            desired = compiler.desired(repository.tree(repository.resolve("main")), Stopwatch(silent))
            course = course_of(desired.source, desired.source.rollouts[0])
            phase = Phase.PAUSED if move is Move.PAUSE else Phase.PROGRESSING
            status = RolloutStatus(phase=phase, run=course.spec.run_name, steps=course.digest)
            weight = 30 if move is Move.START else None
            decision = Decision(rollout=course.key, move=move, before=course.status, status=status, weight=weight)
            evidence = Evidence(run="", phase=Phase.PENDING, step=0, entered=clock.now())
            turned = Turn(evidence=evidence, decision=decision, keep=False)
            outcome = landing.land(Ask(), course, turned, desired, applied=True)
            return outcome, (tmp_path / "tries").read_text().count("\n")

        yield land
        landing.close()


def test_a_branch_that_refuses_pushes_is_asked_less_and_less(land: Callable[..., tuple[Outcome, int]]) -> None:
    """No hot loop: after 1 s, 2 s, 4 s, ... up to a minute; people are told each time what it waits for, and what helps."""
    outcome, tries = land()
    assert (outcome.landed, tries, outcome.notes[0].code) == (False, 1, "rollout-waiting")
    assert "GH006" in outcome.notes[0].message
    assert "pull-request" in outcome.notes[0].hint
    assert land(after=0.875) == (outcome, 1)
    assert land(after=0.125) == (outcome, 2)
    assert land(after=1.875) == (outcome, 2)
    assert land(after=0.125) == (outcome, 3)
    for number in range(4, 12):
        assert land(after=60) == (outcome, number)
    assert land(after=59) == (outcome, 11)


def test_another_commit_or_decision_is_tried_at_once(land: Callable[..., tuple[Outcome, int]], hosted: Hosted) -> None:
    """A refusal is about one commit on one head; a protection that let the next one through is not waited out."""
    land()
    assert land()[1] == 1
    assert land(move=Move.PAUSE)[1] == 2
    hosted.push("main", {"README.md": b"Hello.\n"}, "Say hello")
    assert land(move=Move.PAUSE)[1] == 3
    (hosted.git_dir / "hooks" / "update").unlink()
    assert land(move=Move.PAUSE)[0].landed is False
    assert land(move=Move.PAUSE, after=1)[0].landed is True
