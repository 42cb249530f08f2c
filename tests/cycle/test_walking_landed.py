"""Whose commits landed since the engine last looked, for every way in which steps land and people write: with real Git."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cycle.desired import Compiler
from reconciler.cycle.walking.landed import Landed, landed
from reconciler.gitrepo import open_repository
from reconciler.model.key import Key
from reconciler.model.rollout import Phase
from reconciler.rollouts.commands import resume
from reconciler.rollouts.decision import Move
from reconciler.settings import GitSettings
from tests.rollouts.repo import ROLLOUT, Folder, decision
from tests.rollouts.test_ownership import Main

KEY = Key("default", "reviews")
PATH, ROUTES = "policies/rollout.yaml", "policies/routes.yaml"


class Line(Main):
    """A run on `main`, looked at from some commit on."""

    def since(self, commit: str, *, key: Key = KEY) -> Landed:
        """What people did since then."""
        self.repository.fetch()
        head = self.repository.resolve("main")
        return landed(self.repository, Compiler(), key, since=commit, head=head)

    @property
    def tip(self) -> str:
        return self.git("rev-parse", "main")

    def took(self, commit: str) -> list[tuple[str, str]]:
        """By whom, and what."""
        return [(item.author, item.what) for item in self.since(commit).touched]


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A run that is at its first step of four."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_EDITOR", "true")
    folder = Folder(tmp_path / "work").write()
    folder.put({"README": b"A mesh.\n"})
    settings = GitSettings(cache=tmp_path / "cache")
    init(folder)
    with open_repository(str(folder.root), settings) as repository:
        made = Line(folder, repository)
        made.commit("Begin")
        made.step()
        yield made


def init(folder: Folder) -> None:
    Main(folder, None).git("init", "-q")  # type: ignore[arg-type]


def test_nothing_is_new_where_nothing_is_known_or_nothing_came(line: Line) -> None:
    """What was there before the engine first looked was settled by whoever began the run."""
    assert line.since("") == Landed()
    assert line.since(line.tip) == Landed()


@pytest.mark.parametrize("moved", [False, True], ids=["main-stands", "main-moved"])
@pytest.mark.parametrize("way", ["push", "merge", "squash", "pick", "rebase"])
def test_a_step_is_nobodys_however_it_lands(line: Line, way: str, *, moved: bool) -> None:
    """Pushed, merged, squashed with any words, cherry-picked or rebased; also where files beside the policies moved meanwhile."""
    start = line.tip
    line.branch()
    line.step()
    line.back()
    if moved:
        line.folder.put({"README": b"More.\n"})
        line.commit("More words")
    match way:
        case "push" if not moved:
            line.git("merge", "-q", "--ff-only", "step")
        case "merge":
            line.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7\n\nreviews: 5% to v2", "step")
        case "squash":
            line.git("merge", "-q", "--squash", "step")
            line.commit("Squashed (#7)")
        case "pick":
            line.git("cherry-pick", "-x", "step")
        case _:
            line.git("checkout", "-q", "step")
            line.git("rebase", "-q", "main")
            line.back()
            line.git("merge", "-q", "--ff-only", "step")
    assert line.folder.course.status.step == 1
    assert line.since(start) == Landed()


@pytest.mark.parametrize("way", ["merge", "squash", "pick"])
def test_a_step_that_lands_on_a_persons_pause_is_somebodys(line: Line, way: str) -> None:
    """The texts merge; from that parent the engine would not have gone on, so whoever merged it is named."""
    start = line.tip
    line.branch()
    line.step()
    line.back()
    line.folder.edit(PATH, "  canary: v2\n", "  canary: v2\n  paused: true\n")
    line.commit("Wait")
    if way == "merge":
        line.git("merge", "-q", "--no-ff", "-m", "Merge", "step")
    elif way == "squash":
        line.git("merge", "-q", "--squash", "step")
        line.commit("Squashed")
    else:
        line.git("cherry-pick", "step")
    assert line.took(start) == [("Ada", "changed the status")]


@pytest.mark.parametrize("way", ["merge", "squash"])
@pytest.mark.parametrize("more", ["a-persons", "another-step"])
def test_a_proposal_with_more_than_one_step_in_it_is_somebodys(line: Line, way: str, more: str) -> None:
    """A person's commit on its branch, or two steps in one: what landed was never live in between."""
    start = line.tip
    line.branch()
    line.step()
    if more == "another-step":
        line.step()
    else:
        line.folder.edit(ROUTES, "timeout: 10s", "timeout: 20s")
        line.commit("And this")
    line.back()
    line.git("merge", "-q", *(["--no-ff", "-m", "Merge"] if way == "merge" else ["--squash"]), "step")
    if way == "squash":
        line.commit("Squashed\n\nRollout: default/reviews\nRollout-Decision: advance")
    assert line.took(start) == [("Ada", "changed the status")]


def test_a_revert_is_somebodys_also_once_it_is_reverted(line: Line) -> None:
    """Taking the step again is a step, and a step settles nothing: somebody wanted it back, and has to say how it goes on."""
    line.step()
    start = line.tip
    line.git("revert", "--no-edit", "HEAD")
    assert line.took(start) == [("Ada", "took a step back")]
    line.git("revert", "--no-edit", "HEAD")
    assert line.took(start) == [("Ada", "took a step back")]


def test_all_that_people_did_is_told_oldest_first(line: Line) -> None:
    """Each with its commit and subject, and harmless edits between them not."""
    start = line.tip
    line.folder.edit(ROUTES, "weight: 95 ", "weight: 90 ")
    line.folder.edit(ROUTES, "weight: 5 ", "weight: 10 ")
    first = line.commit("A bit more")
    line.folder.edit(ROUTES, "timeout: 10s", "timeout: 20s")
    line.commit("Slower")
    line.folder.edit(PATH, "setWeight: 25", "setWeight: 30")
    second = line.commit("Other steps")
    found = line.since(start).touched
    assert [(item.commit, item.subject, item.what) for item in found] == [
        (first, "A bit more", "moved the weight of reviews"),
        (second, "Other steps", "edited the steps"),
    ]


@pytest.mark.parametrize("way", ["pause", "resume"])
def test_what_came_before_a_pause_or_a_resumption_is_settled(line: Line, way: str) -> None:
    """Whoever paused or resumed had seen it. A resumption is told, since the pause before it may not have been seen."""
    start = line.tip
    line.folder.edit(ROUTES, "weight: 95 ", "weight: 90 ")
    line.folder.edit(ROUTES, "weight: 5 ", "weight: 10 ")
    line.commit("A bit more")
    course = line.folder.course
    paused = course.status.model_copy(update={"phase": Phase.PAUSED, "reason": "Ada moved it"})
    line.carry_out(decision(course, Move.PAUSE, paused))
    if way == "resume":
        stand = line.folder.stand
        line.folder.put(resume(stand.course, stand.mesh, line.folder.read).files)
        line.commit("Go on")
    assert line.since(start) == Landed((), way == "resume")
    line.folder.edit(PATH, "setWeight: 25", "setWeight: 30")
    line.commit("Other steps")
    assert line.took(start) == [("Ada", "edited the steps")]


@pytest.mark.parametrize("what", ["nothing", "weight"])
def test_a_commit_that_cannot_be_used_is_judged_by_what_mends_it(line: Line, what: str) -> None:
    """Nothing of it is in force; what it moved is found where it is mended, and blamed on whoever did that."""
    start = line.tip
    line.folder.put({"policies/broken.yaml": b"kind: [\n"})
    if what == "weight":
        line.folder.edit(ROUTES, "weight: 95 ", "weight: 60 ")
        line.folder.edit(ROUTES, "weight: 5 ", "weight: 40 ")
    line.commit("Break it")
    assert line.took(start) == []
    (line.folder.root / "policies/broken.yaml").unlink()
    mended = line.commit("Mend it")
    found = line.since(start).touched
    assert [item.commit for item in found] == ([mended] if what == "weight" else [])


def test_a_step_right_after_a_mended_commit_is_a_step(line: Line) -> None:
    """It is what the engine writes from its own parent, whatever was before that."""
    start = line.tip
    line.folder.put({"policies/broken.yaml": b"kind: [\n"})
    line.commit("Break it")
    (line.folder.root / "policies/broken.yaml").unlink()
    line.commit("Mend it")
    line.step()
    assert line.since(start) == Landed()


def test_a_rewritten_branch_is_somebodys(line: Line) -> None:
    """What the engine knew is not in it; nobody can say what was done."""
    start = line.tip
    line.git("commit", "-q", "--amend", "-m", "Something else")
    (found,) = line.since(start).touched
    assert (found.commit, found.author, found.what) == (line.tip, "Ada", "rewrote the branch")
    assert line.took("0" * 40) == [("Ada", "rewrote the branch")]


def test_another_rollouts_step_touches_nobody(line: Line) -> None:
    """It has a target of its own."""
    other = ROLLOUT.replace("name: reviews}\nspec", "name: second}\nspec").replace("setWeight: 5 ", "setWeight: 6 ")
    line.folder.put({"policies/second.yaml": other.replace("routes: [primary]", "routes: [second]").encode()})
    text = line.folder.text(ROUTES)
    rule = text[text.index("  - name: primary") :].replace("primary", "second")
    line.folder.put({ROUTES: (text + rule).encode()})
    start = line.commit("A second one")
    line.step()
    assert line.since(start, key=Key("default", "second")) == Landed()
    assert line.since(start) == Landed()
