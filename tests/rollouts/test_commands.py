"""What the command line writes for a person, and that it can be taken back to the byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.commands import Commanded, CommandError, abort, pause, promote, promote_full, resume, retry
from reconciler.rollouts.deciding import PAUSED_BY_SPEC
from reconciler.rollouts.statusblock import spliced, status_edit
from tests.rollouts.repo import ROLLOUT, Folder

Command = Callable[..., Commanded]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The example."""
    return Folder(tmp_path).write()


def stands(folder: Folder, phase: Phase, step: int = 1, reason: str = "", weight: int = 5) -> Folder:
    """Put the rollout somewhere."""
    stand = folder.stand
    run, digest = stand.course.spec.run_name, stand.course.digest
    status = RolloutStatus(phase=phase, step=step, run=run, steps=digest, reason=reason)
    folder.put(spliced(folder.read, {"policies/rollout.yaml": [status_edit(stand.course, stand.mesh, status)]}))
    folder.edit("policies/routes.yaml", "weight: 100  #", f"weight: {100 - weight}  #")
    folder.edit("policies/routes.yaml", "weight: 0  #", f"weight: {weight}  #")
    return folder


def run(folder: Folder, command: Command, **arguments: str) -> Commanded:
    """Carry a command out."""
    found = command(folder.course, folder.mesh, folder.read, **arguments)
    folder.put(found.files)
    return found


def test_promoting_asks_for_the_next_step(folder: Folder) -> None:
    """One line behind the steps; `promote_full` raises it, and asking twice is an error."""
    stands(folder, Phase.PROGRESSING)

    found = run(folder, promote)

    assert folder.course.spec.step == 2
    assert (
        found.message == "canary(reviews): promote at step 2/4\n\nRollout: default/reviews\nRollout-Command: promote\n"
    )
    assert "  - setWeight: 100\n  step: 2\nstatus:" in folder.text("policies/rollout.yaml")
    with pytest.raises(CommandError, match="told to go on already"):
        run(folder, promote)
    run(folder, promote_full)
    assert folder.course.spec.step == 4


def test_pausing_and_resuming_leave_no_trace(folder: Folder) -> None:
    """A pause that the engine ends by itself only needs its line taken away."""
    before = stands(folder, Phase.PROGRESSING).text("policies/rollout.yaml")
    run(folder, pause)
    assert folder.course.spec.paused
    with pytest.raises(CommandError, match="paused already"):
        run(folder, pause)
    with pytest.raises(CommandError, match="resume it first"):
        run(folder, promote)

    run(folder, resume)

    assert folder.text("policies/rollout.yaml") == before


def test_a_run_can_be_kept_from_beginning(folder: Folder) -> None:
    """The engine begins none while `spec.paused` is set; to promote or to abort there is nothing yet, and the hint says what there is."""
    before = folder.text("policies/rollout.yaml")
    for command in (promote, abort):
        with pytest.raises(CommandError, match="has not begun") as caught:
            run(folder, command)
        assert "`reconcile rollout pause reviews` keeps it" in caught.value.diagnostics[0].hint
        assert "`reconcile rollout show reviews` says" in caught.value.diagnostics[0].hint

    found = run(folder, pause)

    assert found.message.startswith("canary(reviews): pause before v1->v2 begins\n")
    assert folder.course.spec.paused
    run(folder, resume)
    assert folder.text("policies/rollout.yaml") == before


def test_what_keeps_the_next_run_from_beginning_is_no_pause_of_the_last(folder: Folder) -> None:
    """Taken away, it leaves the status of the run before as it is."""
    stands(folder, Phase.PAUSED, reason="doubt")
    folder.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  run: again\n")
    before = folder.text("policies/rollout.yaml")
    run(folder, pause)
    run(folder, resume)
    assert folder.text("policies/rollout.yaml") == before


def test_a_comment_at_a_pause_stays(tmp_path: Path) -> None:
    """Where a person has said why, the field becomes false instead of going with the comment."""
    folder = Folder(tmp_path).write(rollout=ROLLOUT.replace("spec:\n", "spec:\n  paused: true  # the weekend\n"))
    stands(folder, Phase.PAUSED, reason=PAUSED_BY_SPEC)

    run(folder, resume)

    assert "  paused: false  # the weekend\n" in folder.text("policies/rollout.yaml")
    assert folder.course.status.phase is Phase.PAUSED  # the engine resumes by itself


def test_resuming_says_that_a_person_has_looked(folder: Folder) -> None:
    """After edited steps it goes on at the last weight that is no higher than what the canary has."""
    stands(folder, Phase.PAUSED, step=2, reason="Ada moved the weight", weight=12)
    folder.edit("policies/rollout.yaml", "setWeight: 25", "setWeight: 30")

    run(folder, resume)

    course = folder.course
    assert (course.status.phase, course.status.step, course.status.reason) == (Phase.PROGRESSING, 0, "")
    assert (course.status.steps, folder.weight) == (course.digest, 5.0)
    with pytest.raises(CommandError, match="not paused"):
        run(folder, resume)


def test_an_abort_is_asked_for_once(folder: Folder) -> None:
    """`spec.abort`; the engine moves the weights."""
    stands(folder, Phase.PROGRESSING)
    run(folder, abort)
    assert folder.course.spec.abort
    with pytest.raises(CommandError, match="abort already"):
        run(folder, abort)


def test_a_retry_is_another_run_without_the_orders_of_the_last(folder: Folder) -> None:
    """Else the new run would be aborted, or promoted, as soon as it begins."""
    stands(folder, Phase.PROGRESSING)
    run(folder, promote_full)
    run(folder, abort)
    folder.edit("policies/rollout.yaml", "phase: Progressing", "phase: Aborted")

    run(folder, retry)

    spec = folder.course.spec
    assert (spec.run, spec.abort, spec.step) == ("2", False, 0)
    assert folder.course.starts
    with pytest.raises(CommandError, match="has not begun"):
        run(folder, promote)


@pytest.mark.parametrize(
    ("last", "following"), [("", "2"), ("2", "3"), ("release-9", "release-10"), ("hotfix", "hotfix-2")]
)
def test_runs_are_numbered(tmp_path: Path, last: str, following: str) -> None:
    """A retry without a name has one that the last run did not have."""
    line = f"  run: '{last}'  # why\n" if last else ""
    folder = Folder(tmp_path).write(rollout=ROLLOUT.replace("spec:\n", f"spec:\n{line}"))
    stands(folder, Phase.ABORTED)

    run(folder, retry)

    assert folder.course.spec.run == following
    assert ("# why" in folder.text("policies/rollout.yaml")) == bool(last)


@pytest.mark.parametrize("command", [promote, promote_full, pause, abort])
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.SUCCEEDED, Phase.ABORTED])
def test_what_does_not_run_takes_no_orders(folder: Folder, command: Command, phase: Phase) -> None:
    """Nothing is written for a run that has not begun or has ended."""
    stands(folder, phase)
    with pytest.raises(CommandError) as caught:
        run(folder, command)
    assert caught.value.diagnostics[0].hint


def test_a_retry_needs_an_end_and_a_new_name(folder: Folder) -> None:
    """The same name would be the same run."""
    stands(folder, Phase.PROGRESSING)
    with pytest.raises(CommandError, match="has not ended"):
        run(folder, retry)
    folder.edit("policies/rollout.yaml", "phase: Progressing", "phase: Aborted")
    run(folder, retry, run="again")
    folder.edit("policies/rollout.yaml", 'run: "v1->v2"', 'run: "v1->v2#again"')
    with pytest.raises(CommandError, match="called again too"):
        run(folder, retry, run="again")


def test_a_canary_that_has_traffic_is_not_tried_again(folder: Folder) -> None:
    """The new run would be paused at once, and resuming it would take the traffic away in one go."""
    stands(folder, Phase.SUCCEEDED, weight=100)
    with pytest.raises(CommandError, match="has 50% of the traffic already, and a run begins with 5%") as caught:
        run(folder, retry)
    assert "exchange stable and canary" in caught.value.diagnostics[0].hint
