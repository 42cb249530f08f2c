"""Steps as pull requests: what is written, what is left alone, and that a pass can be killed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cycle.proposal import Proposal, ProposalOutcome, branch_of
from reconciler.cycle.proposing import Proposer
from reconciler.errors import ReconcilerError
from reconciler.forge import (
    ForgeAuthenticationError,
    ForgePermissionError,
    ForgeRefusedError,
    ForgeUnavailableError,
    GitHub,
    PullRequest,
    PullState,
    RateLimitedError,
)
from reconciler.gitrepo import RaceLostError, Repository, open_repository
from reconciler.model.key import Key
from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.decision import Decision, Move
from reconciler.settings import GitSettings
from tests.forge.conftest import START, Hand
from tests.forge.server import TOKEN, ForgeServer

REVIEWS = Key("default", "reviews")
BRANCH = branch_of(REVIEWS)
BEFORE = RolloutStatus(phase=Phase.PROGRESSING, step=1, run="v1->v2", steps="abc")
ADVANCE = Decision(
    rollout=REVIEWS,
    move=Move.ADVANCE,
    before=BEFORE,
    status=RolloutStatus(phase=Phase.PROGRESSING, step=2, run="v1->v2", steps="abc"),
    weight=25,
)
ABORT = replace(
    ADVANCE, move=Move.ABORT, weight=0, status=RolloutStatus(phase=Phase.ABORTED, step=1, run="v1->v2", steps="abc")
)
STEP = {"policies/reviews.yaml": b"weight: 25\n", "policies/rollout.yaml": b"step: 2\n"}
BACK = {"policies/reviews.yaml": b"weight: 0\n", "policies/rollout.yaml": b"aborted\n"}
TRAILERS = "Rollout: default/reviews\nRollout-Step: 2/6"


def message(decision: Decision, measured: str = "success 99.9%") -> str:
    return f"canary(reviews): {decision.move} to {decision.weight:g}%\n\n{measured}\n\n{TRAILERS}\n"


class Passes:
    """Passes of one rollout: each fetches, and proposes what is to happen on the head of `main`."""

    def __init__(self, repository: Repository, proposer: Proposer) -> None:
        self.repository = repository
        self.proposer = proposer
        self.known: Mapping[str, Any] | None = None

    def run(self, decision: Decision = ADVANCE, files: Mapping[str, bytes] = STEP, measured: str = "ok") -> Proposal:
        self.repository.fetch()
        done = self.proposer.propose(
            decision,
            files=files,
            message=message(decision, measured),
            base=self.repository.resolve("main"),
            at=START,
            known=self.known,
        )
        self.known = done.plain
        return done

    def rest(self) -> Proposal:
        self.repository.fetch()
        done = self.proposer.withdraw(REVIEWS, base=self.repository.resolve("main"), known=self.known)
        self.known = done.plain
        return done


@pytest.fixture
def passes(request: pytest.FixtureRequest, forge: ForgeServer, github: GitHub, tmp_path: Path) -> Iterator[Passes]:
    """Over a mirror of the forge's repository or, for `BOTH`, on the repository itself too."""
    where = forge.url if getattr(request, "param", "url") == "url" else str(forge.hosted.git_dir)
    with open_repository(where, GitSettings(cache=tmp_path / "cache")) as repository:
        yield Passes(repository, Proposer(repository, github))


BOTH = pytest.mark.parametrize("passes", ["url", "path"], indirect=True)


def outcome(proposal: Proposal) -> str:
    return str(proposal.outcome)


def commits(forge: ForgeServer) -> list[str]:
    """What the branch adds to `main`."""
    return forge.hosted.git("rev-list", f"main..{BRANCH}").split()


def quiet(forge: ForgeServer, call: Callable[[], Proposal]) -> Proposal:
    """A pass that writes nothing, neither to the forge nor to the branch."""
    writes, tip = len(forge.writes), forge.hosted.tip(BRANCH)
    done = call()
    assert (len(forge.writes), forge.hosted.tip(BRANCH)) == (writes, tip)
    return done


@BOTH
def test_a_step_is_proposed(forge: ForgeServer, passes: Passes) -> None:
    """One commit on the current main, its words for the title, the values behind it in the body, and the trailers last."""
    done = passes.run(measured="success 99.9% of 1,200\n@everyone <b>```")
    pull = forge.hosted.pulls[1]
    assert (outcome(done), done.number, done.url) == ("opened", 1, "https://github.com/acme/mesh/pull/1")
    assert commits(forge) == [done.sha] == [pull.head_sha]
    assert forge.hosted.git("diff", "--name-only", "main", BRANCH).split() == sorted(STEP)
    assert (pull.title, pull.base) == ("canary(reviews): advance to 25%", "main")
    assert pull.body.startswith("````text\nsuccess 99.9% of 1,200\n@everyone <b>```\n````\n")
    assert pull.body.endswith(f"\n\n{TRAILERS}\n")
    assert forge.hosted.git("log", "-1", "--format=%B", BRANCH) + "\n" == message(
        ADVANCE, "success 99.9% of 1,200\n@everyone <b>```"
    )
    assert done.note == "waits for #1 to be merged"


def test_main_is_protected_there(forge: ForgeServer, passes: Passes) -> None:
    """Proposing never needs main: what it was, it is."""
    before = forge.hosted.tip("main")
    passes.run()
    passes.run(ABORT, BACK)
    passes.rest()
    assert forge.hosted.tip("main") == before


@BOTH
def test_nothing_is_written_while_nothing_changes(forge: ForgeServer, passes: Passes) -> None:
    """Other measured values are no reason: a proposal that is looked at stays as it is. The forge is asked once a pass."""
    passes.run()
    asked = len(forge.calls)
    done = quiet(forge, lambda: passes.run(measured="success 99.8%"))
    assert outcome(done) == "waiting"
    assert [call.method for call in forge.calls[asked:]] == ["GET"]


@BOTH
def test_main_has_moved(forge: ForgeServer, passes: Passes) -> None:
    """The proposal is made anew on top of it, one commit still, in the same pull request."""
    first = passes.run()
    moved = forge.hosted.push("main", {"README.md": b"Hello again.\n"}, "Greet")
    done = passes.run(measured="new values")
    assert (outcome(done), done.number) == ("updated", 1)
    assert done.sha != first.sha
    assert commits(forge) == [done.sha]
    assert forge.hosted.git("rev-parse", f"{BRANCH}^") == moved
    assert "new values" in forge.hosted.pulls[1].body
    assert outcome(quiet(forge, passes.run)) == "waiting"


@BOTH
def test_a_person_commits_to_it(forge: ForgeServer, passes: Passes) -> None:
    """It is theirs then: not made anew when main moves, not replaced, not closed; and it says whose it is."""
    passes.run()
    forge.hosted.push(BRANCH, {"policies/reviews.yaml": b"weight: 10\n"}, "Less")
    done = quiet(forge, passes.run)
    assert outcome(done) == "left-alone"
    assert done.note == "#1 has a commit of Ada, so it is left alone until it is merged or closed"
    forge.hosted.push("main", {"README.md": b"x"}, "Move")
    assert outcome(quiet(forge, passes.run)) == "left-alone"
    assert outcome(quiet(forge, lambda: passes.run(ABORT, BACK))) == "left-alone"
    assert outcome(quiet(forge, passes.rest)) == "left-alone"


def test_a_person_commits_to_it_after_all_is_forgotten(forge: ForgeServer, passes: Passes) -> None:
    """Who wrote the commits says it, without a memory of what we wrote; an amended commit of ours is theirs too."""
    passes.run()
    forge.hosted.push(BRANCH, {"policies/reviews.yaml": b"weight: 10\n"}, "Less", by="Bo <bo@example.com>")
    passes.known = None
    assert outcome(quiet(forge, passes.run)) == "left-alone"
    tree = forge.hosted.git("rev-parse", f"{BRANCH}^{{tree}}")
    us = "envoy-reconciler <envoy-reconciler@localhost>"
    top = forge.hosted.push("scratch", {"x": b"1"}, "x", by=us)
    assert forge.hosted.git("log", "-1", "--format=%an <%ae>", top) == us
    mixed = forge.hosted.git(
        "-c", "user.name=Bo", "-c", "user.email=bo@example.com", "commit-tree", "-p", "main", "-m", "x", tree
    )
    forge.hosted.git("update-ref", f"refs/heads/{BRANCH}", mixed)
    assert outcome(quiet(forge, passes.run)) == "left-alone"


def test_theirs_is_merged_and_the_next_step_is_ours(forge: ForgeServer, passes: Passes) -> None:
    """What a person made of it is on main; the branch that is left over is used again."""
    passes.run()
    forge.hosted.push(BRANCH, {"policies/reviews.yaml": b"weight: 10\n"}, "Less")
    passes.run()
    forge.hosted.merge(1, "squash")
    done = passes.run(files={"policies/reviews.yaml": b"weight: 30\n"})
    assert (outcome(done), done.number) == ("opened", 2)


@BOTH
def test_a_person_closes_it(forge: ForgeServer, passes: Passes) -> None:
    """The step is held and it says so, for as long as it takes, also when main moves elsewhere and all is forgotten."""
    passes.run()
    forge.hosted.close(1)
    done = quiet(forge, lambda: passes.run(measured="other"))
    assert (outcome(done), done.number) == ("held", 1)
    assert done.note == "#1 was closed, so this step is held; reopen it or change the rollout"
    forge.hosted.push("main", {"README.md": b"x"}, "Move")
    assert outcome(quiet(forge, passes.run)) == "held"
    passes.known = None
    assert outcome(quiet(forge, passes.run)) == "held"


def test_a_person_removes_its_branch(forge: ForgeServer, passes: Passes) -> None:
    """That closes it, so it holds the step as closing does."""
    passes.run()
    forge.hosted.remove(BRANCH)
    assert outcome(quiet(forge, passes.run)) == "held"


def test_a_hold_outlives_a_pass_with_nothing_to_propose(forge: ForgeServer, passes: Passes) -> None:
    """The branch stays, so that it can be reopened, and the step is still held when it comes back."""
    passes.run()
    forge.hosted.close(1)
    assert outcome(quiet(forge, passes.rest)) == "nothing"
    assert outcome(quiet(forge, passes.run)) == "held"


def test_reopened_it_goes_on(forge: ForgeServer, passes: Passes) -> None:
    """As if it had not been closed, brought up to date if main has moved since."""
    passes.run()
    forge.hosted.close(1)
    passes.run()
    forge.hosted.reopen(1)
    assert outcome(quiet(forge, passes.run)) == "waiting"
    forge.hosted.close(1)
    forge.hosted.push("main", {"README.md": b"x"}, "Move")
    passes.run()
    forge.hosted.reopen(1)
    assert (outcome(passes.run()), len(forge.hosted.pulls)) == ("updated", 1)


@pytest.mark.parametrize("path", sorted(STEP))
def test_a_change_of_the_policy_releases_it(forge: ForgeServer, passes: Passes, path: str) -> None:
    """The same step on a rollout or a split that a person has changed is a new proposal."""
    passes.run()
    forge.hosted.close(1)
    forge.hosted.push("main", {path: b"# thought again\n"}, "Think")
    done = passes.run()
    assert (outcome(done), done.number) == ("opened", 2)
    assert commits(forge) == [done.sha]


def test_another_step_is_not_held(forge: ForgeServer, passes: Passes) -> None:
    """Closing a step says nothing of an abort."""
    passes.run()
    forge.hosted.close(1)
    assert (outcome(passes.run(ABORT, BACK)), forge.hosted.pulls[2].state) == ("opened", "open")


def test_a_commit_of_a_person_does_not_outlive_its_closing(forge: ForgeServer, passes: Passes) -> None:
    """They closed what they had taken over: another step may use the branch; their commits stay in the closed one."""
    passes.run()
    theirs = forge.hosted.push(BRANCH, {"policies/reviews.yaml": b"weight: 10\n"}, "Less")
    passes.run()
    forge.hosted.close(1)
    assert outcome(quiet(forge, passes.run)) == "held"
    done = passes.run(ABORT, BACK)
    assert (outcome(done), done.number) == ("opened", 2)
    assert forge.hosted.git("rev-parse", "refs/pull/1/head") == theirs


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
@pytest.mark.parametrize("tidy", [False, True])
def test_merged_main_contains_it(forge: ForgeServer, passes: Passes, how: str, tidy: bool) -> None:  # noqa: FBT001
    """By any strategy the diff to the first parent is the step and nothing else; then the next step is proposed."""
    forge.hosted.drop_merged = tidy
    passes.run()
    base = forge.hosted.tip("main")
    step = forge.hosted.git("rev-parse", f"{BRANCH}^{{tree}}")
    main = forge.hosted.merge(1, how)
    assert forge.hosted.git("rev-parse", f"{main}^1") == base
    assert forge.hosted.git("rev-parse", f"{main}^{{tree}}") == step
    following = replace(ADVANCE, status=BEFORE, weight=50)
    done = passes.run(following, {"policies/reviews.yaml": b"weight: 50\n"})
    assert (outcome(done), done.number) == ("opened", 2)
    assert commits(forge) == [done.sha]


def test_a_merge_that_we_have_not_fetched_is_not_proposed_again(forge: ForgeServer, passes: Passes) -> None:
    """The forge knows of the merge before we do: nothing is written for a main that is older than it."""
    first = passes.run()
    base = passes.repository.resolve("main")
    forge.hosted.drop_merged = True
    forge.hosted.merge(1, "squash")
    done = passes.proposer.propose(
        ADVANCE, files=STEP, message=message(ADVANCE), base=base, at=START, known=first.plain
    )
    assert (outcome(done), done.note) == ("merged", "#1 is merged")
    assert len(forge.writes) == 1


def test_a_step_that_was_reverted_on_main_can_be_proposed_again(forge: ForgeServer, passes: Passes) -> None:
    """That it was merged once does not matter: main does not contain it."""
    passes.run()
    forge.hosted.revert(forge.hosted.merge(1, "squash"))
    assert (outcome(passes.run()), len(forge.hosted.pulls)) == ("opened", 2)


def test_a_step_that_main_has_already_is_not_proposed(forge: ForgeServer, passes: Passes) -> None:
    """An empty proposal is none; one that was open for it is withdrawn."""
    passes.run()
    forge.hosted.push("main", STEP, "The same, by hand")
    assert outcome(passes.run()) == "withdrawn"
    assert outcome(quiet(forge, passes.run)) == "nothing"


@BOTH
def test_an_abort_replaces_a_pending_step_at_once(forge: ForgeServer, passes: Passes) -> None:
    """In one pass: the branch has the abort alone, and the pull request says it."""
    passes.run()
    done = passes.run(ABORT, BACK)
    pull = forge.hosted.pulls[1]
    assert (outcome(done), done.number, pull.state) == ("updated", 1, "open")
    assert commits(forge) == [done.sha]
    assert forge.hosted.show(BRANCH, "policies/reviews.yaml") == "weight: 0"
    assert pull.title == "canary(reviews): abort to 0%"
    assert "all traffic to stable already" in pull.body
    assert outcome(quiet(forge, lambda: passes.run(ABORT, BACK))) == "waiting"


@BOTH
def test_a_proposal_that_is_not_wanted_any_more_is_withdrawn(forge: ForgeServer, passes: Passes) -> None:
    """Closed by us, its branch removed; nobody asks the forge again, and the same step can be proposed again."""
    passes.run()
    done = passes.rest()
    assert (outcome(done), forge.hosted.pulls[1].state, forge.hosted.tip(BRANCH)) == ("withdrawn", "closed", "")
    asked = len(forge.calls)
    assert outcome(passes.rest()) == "nothing"
    assert len(forge.calls) == asked
    passes.known = None
    assert (outcome(passes.run()), len(forge.hosted.pulls)) == ("opened", 2)


@BOTH
def test_what_a_merge_leaves_is_tidied_up(forge: ForgeServer, passes: Passes) -> None:
    """A branch that was merged and is needed no more goes."""
    passes.run()
    forge.hosted.merge(1, "merge")
    assert outcome(passes.rest()) == "nothing"
    assert forge.hosted.tip(BRANCH) == ""


def test_it_is_sent_to_another_branch_by_a_person(forge: ForgeServer, passes: Passes) -> None:
    """Their word: it is left alone."""
    forge.hosted.git("update-ref", "refs/heads/next", "main")
    passes.run()
    forge.hosted.edit(1, base="next")
    done = quiet(forge, passes.run)
    assert (outcome(done), done.note) == (
        "left-alone",
        "#1 is for next now, so it is left alone until it is merged or closed",
    )


def test_a_description_that_a_person_edits_stays(forge: ForgeServer, passes: Passes) -> None:
    """Also where they have removed our mark from it."""
    passes.run()
    forge.hosted.edit(1, body="I looked at this. Fine.")
    assert outcome(quiet(forge, passes.run)) == "waiting"


def test_a_branch_of_a_person_is_not_taken(forge: ForgeServer, passes: Passes) -> None:
    """Somebody uses the name: nothing is proposed, and it says what to do."""
    forge.hosted.push(BRANCH, {"x": b"1"}, "Mine")
    done = quiet(forge, passes.run)
    assert outcome(done) == "left-alone"
    assert done.note == "its branch has a commit of Ada, so nothing is proposed until that branch is removed"
    assert outcome(quiet(forge, passes.rest)) == "nothing"


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A forge's client that dies before or after one of its calls."""

    def __init__(self, github: GitHub, at: int, *, after: bool) -> None:
        self._github, self._at, self._after = github, at, after
        self.calls = 0

    def _step(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls == self._at and not self._after:
            raise Killed
        done = call()
        if self.calls == self._at:
            raise Killed
        return done

    def find(self, head: str) -> tuple[PullRequest, ...]:
        return self._step(lambda: self._github.find(head))  # type: ignore[no-any-return]

    def get(self, number: int) -> PullRequest:
        return self._step(lambda: self._github.get(number))  # type: ignore[no-any-return]

    def create(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        return self._step(lambda: self._github.create(head=head, base=base, title=title, body=body))  # type: ignore[no-any-return]

    def edit(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullState | None = None
    ) -> PullRequest:
        return self._step(lambda: self._github.edit(number, title=title, body=body, state=state))  # type: ignore[no-any-return]


def withdraw(passes: Passes) -> Proposal:
    return passes.rest()


def abort(passes: Passes) -> Proposal:
    return passes.run(ABORT, BACK)


def advance(passes: Passes) -> Proposal:
    return passes.run()


@pytest.mark.parametrize(("before", "then"), [(None, advance), (advance, abort), (advance, withdraw)])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("remembered", [False, True])
def test_a_pass_may_be_killed_at_any_call(
    forge: ForgeServer,
    github: GitHub,
    passes: Passes,
    *,
    before: Callable[[Passes], Proposal] | None,
    then: Callable[[Passes], Proposal],
    at: int,
    after: bool,
    remembered: bool,
) -> None:
    """Before and after each call: the next pass ends where an undisturbed one does, with no second pull request or commit."""
    if before is not None:
        before(passes)
    if not remembered:
        passes.known = None
    dying = Passes(passes.repository, Proposer(passes.repository, Mortal(github, at, after=after)))
    dying.known = passes.known
    with pytest.raises(Killed):
        then(dying)

    then(passes)

    if then is withdraw:
        assert [pull.state for pull in forge.hosted.pulls.values()] == ["closed"]
        assert forge.hosted.tip(BRANCH) == ""
        assert outcome(passes.run()) == "opened"
    else:
        (pull,) = forge.hosted.pulls.values()
        assert (pull.state, len(commits(forge))) == ("open", 1)
        assert pull.title == ("canary(reviews): abort to 0%" if then is abort else "canary(reviews): advance to 25%")
        assert forge.hosted.show(BRANCH, "policies/reviews.yaml") == ("weight: 0" if then is abort else "weight: 25")
        assert outcome(quiet(forge, lambda: then(passes))) == "waiting"


def test_one_that_the_list_does_not_show_yet_is_adopted(forge: ForgeServer, passes: Passes) -> None:
    """Lists of a forge may lag behind: the refusal of a second one leads to the first, or to another try later."""
    passes.run()
    passes.known = None
    forge.fail(200, [], method="GET")
    done = passes.run()
    assert (outcome(done), done.number, len(forge.hosted.pulls)) == ("opened", 1, 1)
    passes.known = None
    forge.fail(200, [], method="GET", times=2)
    with pytest.raises(ForgeUnavailableError, match="not shown yet"):
        passes.run()


def test_one_that_is_remembered_is_found_by_its_number(forge: ForgeServer, passes: Passes) -> None:
    """Where the list leaves it out, nothing is written for it."""
    passes.run()
    forge.fail(200, [], method="GET")
    assert outcome(quiet(forge, passes.run)) == "waiting"


def test_a_number_of_another_repository_is_forgotten(forge: ForgeServer, passes: Passes) -> None:
    """Somebody names another repository: numbers of the old one mean nothing there."""
    passes.known = {"number": 9, "sha": "x", "step": "y", "outcome": "waiting"}
    assert (outcome(passes.run()), len(forge.hosted.pulls)) == ("opened", 1)


@pytest.mark.parametrize("known", [{"number": "one"}, {"sha": 7, "number": True}, {"outcome": []}, {"other": 1}])
def test_a_memory_that_somebody_broke_is_forgotten(
    forge: ForgeServer, passes: Passes, known: Mapping[str, Any]
) -> None:
    """It is a help only: the record branch may be edited by hand."""
    passes.known = known
    assert (outcome(passes.run()), len(forge.hosted.pulls)) == ("opened", 1)


TROUBLE = [
    (401, ForgeAuthenticationError),
    (403, ForgePermissionError),
    (404, ForgePermissionError),
    (422, ForgeRefusedError),
    (429, RateLimitedError),
    (500, ForgeUnavailableError),
]


@pytest.mark.parametrize(("status", "kind"), TROUBLE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_trouble_with_the_forge_is_told_and_overcome(
    forge: ForgeServer, passes: Passes, clock: Hand, status: int, kind: type[ReconcilerError], method: str
) -> None:
    """Wherever it strikes, the error says which kind it is; afterwards the step is proposed, once."""
    forge.fail(status, {"message": "No."}, method=method)
    with pytest.raises(kind) as caught:
        passes.run()
    assert TOKEN not in str(caught.value)
    clock.passed += 61
    assert outcome(passes.run()) == "opened"
    assert (len(forge.hosted.pulls), len(commits(forge))) == (1, 1)


def test_a_call_whose_answer_is_lost_is_not_repeated(forge: ForgeServer, passes: Passes, clock: Hand) -> None:
    """A gateway fails after the pull request was opened: it is found, and is the only one."""
    forge.fail(502, b"<html>", method="POST", after=True)
    with pytest.raises(ForgeUnavailableError):
        passes.run()
    clock.passed += 61
    assert (outcome(quiet(forge, passes.run)), len(forge.hosted.pulls)) == ("waiting", 1)


def test_a_forge_that_is_down_changes_nothing(forge: ForgeServer, passes: Passes, clock: Hand) -> None:
    """No branch is written that nobody would hear of."""
    forge.down()
    with pytest.raises(ForgeUnavailableError):
        passes.run()
    assert forge.hosted.tip(BRANCH) == ""
    forge.up()
    clock.passed += 5
    assert outcome(passes.run()) == "opened"


def test_a_person_who_pushes_just_now_is_not_overrun(forge: ForgeServer, github: GitHub, tmp_path: Path) -> None:
    """Between our look and our push: the push is lost, and the next pass leaves their commit alone."""
    with open_repository(forge.url, GitSettings(cache=tmp_path / "cache")) as repository:
        passes = Passes(repository, Proposer(repository, github))
        first = passes.run()
        theirs = forge.hosted.push(BRANCH, {"x": b"1"}, "Mine")
        with pytest.raises(RaceLostError):
            passes.proposer.propose(
                ABORT, files=BACK, message=message(ABORT), base=repository.resolve("main"), at=START, known=first.plain
            )
        assert forge.hosted.tip(BRANCH) == theirs
        assert outcome(quiet(forge, lambda: passes.run(ABORT, BACK))) == "left-alone"


def test_two_rollouts_have_a_branch_each() -> None:
    """Whatever hyphens their names have."""
    assert branch_of(Key("a-b", "c")) != branch_of(Key("a", "b-c"))
    assert ProposalOutcome("held") is ProposalOutcome.HELD
