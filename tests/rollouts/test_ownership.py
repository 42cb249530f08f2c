"""Whose a commit is, by its content, for every way in which a step can land on `main`: with real Git."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.gitrepo import Repository, open_repository
from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.model.tree import Tree
from reconciler.policy import load
from reconciler.rollouts.commands import pause, resume
from reconciler.rollouts.course import course_of
from reconciler.rollouts.deciding import PAUSED_BY_SPEC
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.messages import message
from reconciler.rollouts.ownership import Stand, changed, explains, touched
from reconciler.rollouts.weights import standing
from reconciler.rollouts.writing import files
from reconciler.settings import GitSettings
from tests.rollouts.repo import Folder, decision

ROLLOUT, ROUTES = "policies/rollout.yaml", "policies/routes.yaml"


@dataclass
class Main:
    """A repository with a work tree, on `main`."""

    folder: Folder
    repository: Repository

    def git(self, *arguments: str) -> str:
        """Run git in the work tree."""
        done = subprocess.run(["git", *arguments], cwd=self.folder.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, words: str = "By hand") -> str:
        """Commit all that is in the work tree."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", words)
        return self.git("rev-parse", "HEAD")

    def step(self) -> Decision:
        """Let the engine's next step land where the work tree is, as the pass writes it."""
        course = self.folder.course
        if course.starts:
            status = RolloutStatus(phase=Phase.PROGRESSING, run=course.spec.run_name, steps=course.digest)
            found = decision(course, Move.START, status, weight=course.weight_at(0))
        elif course.status.step == len(course.steps) - 1:
            ended = {"phase": Phase.SUCCEEDED, "step": len(course.steps)}
            found = decision(course, Move.FINISH, course.status.model_copy(update=ended), weight=100.0)
        else:
            status = course.status.model_copy(update={"step": course.status.step + 1})
            found = decision(course, Move.ADVANCE, status, weight=course.weight_at(status.step))
        return self.carry_out(found)

    def carry_out(self, found: Decision) -> Decision:
        """Commit what a decision writes."""
        stand = self.folder.stand
        self.folder.put(files(found, stand.course, stand.mesh, self.folder.read))
        self.commit(message(found, stand.course))
        return found

    def branch(self) -> None:
        """Go on at a branch of the tip of `main`."""
        self.git("checkout", "-q", "-B", "step")

    def back(self) -> None:
        """Return to `main`."""
        self.git("checkout", "-q", "main")

    def stand(self, tree: Tree) -> Stand:
        """The rollout in a commit."""
        mesh = load(tree).mesh
        assert mesh is not None
        return Stand(course_of(mesh, mesh.rollouts[0]), mesh)

    def trees(self) -> tuple[Tree, Tree]:
        """The tip of `main` and its first parent."""
        self.repository.fetch()
        tip = self.repository.resolve("main")
        return self.repository.tree(self.repository.commit_info(tip).parents[0]), self.repository.tree(tip)

    def explained(self) -> Decision | None:
        """What the newest commit is."""
        parent, tip = self.trees()
        blobs = {file.path: file for file in parent.files("")}
        return explains(self.stand(parent), lambda path: parent.read(blobs[path]), changed(parent, tip))

    def touched(self) -> str:
        """What the newest commit did."""
        parent, tip = self.trees()
        return touched(self.stand(parent), self.stand(tip))


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Main]:
    """A run that has begun: step 1 of 4 is in force."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_EDITOR", "true")
    folder = Folder(tmp_path / "work")
    folder.put({"README": b"A mesh.\n"})
    folder.write()
    subprocess.run(["git", "init", "-q"], cwd=folder.root, check=True)
    with open_repository(str(folder.root), GitSettings(cache=tmp_path / "cache")) as repository:
        made = Main(folder, repository)
        made.commit("Begin")
        made.step()
        yield made


def same(found: Decision | None, wanted: Decision) -> bool:
    """Whether two decisions write the same."""
    return found is not None and (found.move, found.status, found.weight) == (
        wanted.move,
        wanted.status,
        wanted.weight,
    )


def test_every_step_of_a_run_is_ours(main: Main) -> None:
    """Start, each advance, and the end, as the engine pushes them."""
    assert main.explained() is not None
    for move in (Move.ADVANCE, Move.ADVANCE, Move.ADVANCE, Move.FINISH):
        wanted = main.step()
        assert wanted.move is move
        assert same(main.explained(), wanted)
        assert move is not Move.FINISH or main.folder.weight == 100


@pytest.mark.parametrize("late", [False, True], ids=["before", "while-proposed"])
def test_the_end_of_a_promoted_run_is_ours(main: Main, *, late: bool) -> None:
    """With the promotion taken away; or left where it is, if somebody promoted while the end was proposed."""
    for _ in range(3):
        main.step()
    promoted = ("  canary: v2\n", "  canary: v2\n  step: 4\n")
    if not late:
        main.folder.edit(ROLLOUT, *promoted)
        main.commit("Promote")
    main.branch()
    wanted = main.step()
    main.back()
    if late:
        main.folder.edit(ROLLOUT, *promoted)
        main.commit("Promote")
    main.git("merge", "-q", "--no-ff", "-m", "Merge", "step")

    assert same(main.explained(), wanted)
    assert main.folder.course.spec.step == (4 if late else None)


@pytest.mark.parametrize("moved", [False, True], ids=["main-stands", "main-moved"])
@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_a_step_that_lands_through_a_proposal_is_ours(main: Main, way: str, *, moved: bool) -> None:
    """As a merge commit, squashed with any words, or rebased; also where unrelated files moved on `main` meanwhile."""
    main.branch()
    wanted = main.step()
    main.back()
    if moved:
        main.folder.put({"README": b"More.\n"})
        main.commit("More words")

    if way == "merge":
        main.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7\n\nreviews: 5% to v2", "step")
    elif way == "squash":
        main.git("merge", "-q", "--squash", "step")
        main.commit("Squashed (#7)")
    else:
        main.git("checkout", "-q", "step")
        main.git("rebase", "-q", "main")
        main.back()
        main.git("merge", "-q", "--ff-only", "step")

    assert same(main.explained(), wanted)


@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_a_step_that_lands_after_a_person_paused_is_not_ours(main: Main, way: str) -> None:
    """The texts merge, and the trailer says ours; but from that parent the engine would not have gone on."""
    main.branch()
    main.step()
    main.back()
    main.folder.edit(ROLLOUT, "  canary: v2\n", "  canary: v2\n  paused: true\n")
    main.commit("Wait")
    if way == "merge":
        main.git("merge", "-q", "--no-ff", "-m", "Merge", "step")
    elif way == "squash":
        main.git("merge", "-q", "--squash", "step")
        main.commit("Squashed")
    else:
        main.git("cherry-pick", "step")

    assert main.explained() is None
    assert main.touched() == "changed the status"


@pytest.mark.parametrize("what", ["same-rollout", "another-file"])
@pytest.mark.parametrize("way", ["merge", "squash"])
def test_a_step_that_a_person_added_to_is_not_ours(main: Main, way: str, what: str) -> None:
    """A commit on the proposal's branch lands with it: the rest of the tree is not the parent's."""
    main.branch()
    main.step()
    if what == "same-rollout":
        main.folder.edit(ROUTES, "timeout: 10s", "timeout: 20s")
    else:
        main.folder.put({"README": b"By the way.\n"})
    main.commit("And this")
    main.back()
    main.git("merge", "-q", *(["--no-ff", "-m", "Merge"] if way == "merge" else ["--squash"]), "step")
    if way == "squash":
        main.commit("Squashed\n\nRollout: default/reviews\nRollout-Step: 2/4\nRollout-Decision: advance")

    assert main.explained() is None


def test_two_steps_in_one_commit_are_not_ours(main: Main) -> None:
    """What was never live between them was never judged."""
    main.branch()
    main.step()
    main.step()
    main.back()
    main.git("merge", "-q", "--squash", "step")
    main.commit("Squashed")

    assert main.explained() is None
    assert main.touched() == "changed the status"


def test_a_revert_is_a_persons_and_its_revert_is_ours(main: Main) -> None:
    """Taking a step back is no move of the engine's; taking that back is the step again, whoever commits it."""
    main.step()
    wanted = main.step()
    main.git("revert", "--no-edit", "HEAD")
    assert main.explained() is None
    assert main.touched() == "took a step back"

    main.git("revert", "--no-edit", "HEAD")

    assert same(main.explained(), wanted)


def test_reverting_the_start_is_a_persons(main: Main) -> None:
    """Without a status the run would begin again by itself."""
    main.git("revert", "--no-edit", "HEAD")

    assert main.explained() is None
    assert main.touched() == "took the beginning of the run back"


def test_trailers_alone_make_nothing_ours(main: Main) -> None:
    """A label is a label."""
    main.folder.edit(ROUTES, "weight: 5 ", "weight: 50 ")
    main.folder.edit(ROUTES, "weight: 95 ", "weight: 50 ")
    main.commit("canary(reviews): v2 5% -> 50%\n\nRollout: default/reviews\nRollout-Decision: advance")

    assert main.explained() is None
    assert main.touched() == "moved the weight of reviews"


def test_a_step_from_weights_that_are_not_the_steps_is_not_ours(main: Main) -> None:
    """The engine would have paused there."""
    main.folder.edit(ROUTES, "weight: 95 ", "weight: 90 ")
    main.folder.edit(ROUTES, "weight: 5 ", "weight: 10 ")
    main.commit()
    main.step()

    assert main.explained() is None


def test_a_step_over_edited_steps_is_not_ours(main: Main) -> None:
    """Nor where the steps are not those that the run walks."""
    main.folder.edit(ROLLOUT, "setWeight: 25", "setWeight: 50")
    main.commit()
    assert main.touched() == "edited the steps"
    main.step()

    assert main.explained() is None


@pytest.mark.parametrize("reason", ["", "too many errors", "Ada\n said: {no}"])
def test_pauses_and_aborts_are_ours_whatever_their_reason(main: Main, reason: str) -> None:
    """The reason stands in the child; from any state of a run the engine may pause it or give it up."""
    status = main.folder.course.status
    held = main.carry_out(decision(main.folder.course, Move.PAUSE, _with(status, Phase.PAUSED, reason)))
    found = main.explained()
    assert found
    assert (found.move, found.weight) == (held.move, None)

    main.carry_out(decision(main.folder.course, Move.ABORT, _with(status, Phase.ABORTED, reason), weight=0.0))

    found = main.explained()
    assert found
    assert (found.move, found.status.step, main.folder.weight) == (Move.ABORT, 0, 0)


def test_an_abort_that_leaves_weight_is_not_ours(main: Main) -> None:
    """An abort gives all traffic back."""
    status = _with(main.folder.course.status, Phase.ABORTED, "x")
    main.carry_out(decision(main.folder.course, Move.ABORT, status))

    assert main.explained() is None
    assert main.touched() == "changed the status"


@pytest.mark.parametrize("by_spec", [True, False])
def test_a_persons_resume_is_the_engines(main: Main, *, by_spec: bool) -> None:
    """What `resume` writes is a resumption, with or without `spec.paused` taken away in the same commit."""
    stand = main.folder.stand
    if by_spec:
        main.folder.put(pause(stand.course, stand.mesh, main.folder.read).files)
        main.commit()
        assert main.touched() == ""
    reason = "doubt"
    main.carry_out(decision(stand.course, Move.PAUSE, _with(stand.course.status, Phase.PAUSED, reason)))
    stand = main.folder.stand

    done = resume(stand.course, stand.mesh, main.folder.read)
    main.folder.put(done.files)
    main.commit(done.message)

    found = main.explained()
    assert found
    assert (found.move, found.status.phase, found.weight) == (Move.RESUME, Phase.PROGRESSING, 5.0)
    assert "paused" not in main.folder.text(ROLLOUT)


def test_the_engines_own_resume_is_ours(main: Main) -> None:
    """After `spec.paused` is gone."""
    status = main.folder.course.status
    main.carry_out(decision(main.folder.course, Move.PAUSE, _with(status, Phase.PAUSED, PAUSED_BY_SPEC)))
    wanted = main.carry_out(decision(main.folder.course, Move.RESUME, status, weight=5.0))

    assert same(main.explained(), wanted)


HARMLESS = {
    "timeout": (ROUTES, "timeout: 10s", "timeout: 20s"),
    "words": (ROLLOUT, "# a few", "# some"),
    "promotion": (ROLLOUT, "  canary: v2\n", "  canary: v2\n  step: 2\n"),
    "same-shares": (ROUTES, "weight: 95  # stable\n", "weight: 950  # stable\n"),
    "deadline": (ROLLOUT, "  canary: v2\n", "  canary: v2\n  progressDeadlineSeconds: 60\n"),
    "flow": (ROLLOUT, "- pause: {}", "- {pause: {}}"),
}


@pytest.mark.parametrize(("path", "old", "new"), HARMLESS.values(), ids=HARMLESS)
def test_edits_that_move_nothing_are_left_alone(main: Main, path: str, old: str, new: str) -> None:
    """A timeout edited in the middle of a run neither pauses nor restarts it."""
    main.folder.edit(path, old, new)
    if "950" in new:
        main.folder.edit(path, "weight: 5 ", "weight: 50 ")
    main.commit()

    assert main.explained() is None
    assert main.touched() == ""


def test_other_targets_are_another_split(main: Main) -> None:
    """Whoever renames the rule, or moves other rules, has changed what the run is about."""
    main.folder.edit(ROUTES, "name: primary", "name: first")
    main.folder.edit(ROLLOUT, "routes: [primary]", "routes: [first]")
    main.commit()

    assert main.touched() == "changed the routes of reviews that are moved"


def test_a_rollout_that_comes_or_goes_is_nobodys_step(main: Main) -> None:
    """There is nothing to pause before it is there, nor afterwards."""
    stand = main.folder.stand
    assert (touched(None, stand), touched(stand, None), touched(stand, stand)) == ("", "", "")


@pytest.mark.parametrize(
    "text",
    [None, b"", b"a: [", b"- 1\n", b"status: 1\n", b"status: {phase: Odd}\n", b"status: {phase: Paused, x: 1}\n"],
)
def test_a_child_that_cannot_be_read_is_not_ours(main: Main, text: bytes | None) -> None:
    """Whatever people write, the answer is no and never a failure."""
    stand = main.folder.stand

    assert explains(stand, main.folder.read, {ROLLOUT: text}) is None


def test_what_differs_between_two_commits(main: Main) -> None:
    """Changed, new and removed files, links too, and nothing that is equal."""
    main.folder.put({"new": b"1"})
    (main.folder.root / "README").unlink()
    (main.folder.root / "link").symlink_to("new")
    main.commit()

    assert changed(*main.trees()) == {"README": None, "link": None, "new": b"1"}


def test_a_start_from_more_weight_is_not_ours(main: Main) -> None:
    """Where the canary has more than the first step gives it, the engine asks a person first."""
    main.git("revert", "--no-edit", "HEAD")
    main.folder.edit(ROUTES, "weight: 100  #", "weight: 80  #")
    main.folder.edit(ROUTES, "weight: 0  #", "weight: 20  #")
    main.commit()
    assert standing(main.folder.course, main.folder.mesh).percent == 20
    main.step()

    assert main.explained() is None


def _with(status: RolloutStatus, phase: Phase, reason: str) -> RolloutStatus:
    return status.model_copy(update={"phase": phase, "reason": reason})
