"""What is chosen, and what a pull request says: pure, so that laws can be tried on all there may be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cycle.proposal import (
    LIMIT,
    Choice,
    Known,
    ProposalOutcome,
    Publish,
    Sight,
    Tip,
    Wanted,
    body_of,
    choose,
    choose_end,
    marked,
    step_digest,
    title_of,
    withdrawn,
)
from reconciler.forge import PullRequest, PullState
from reconciler.model.rollout import RolloutStatus
from reconciler.rollouts.decision import Move
from tests.forge.test_proposing import ABORT, ADVANCE, BRANCH, TRAILERS

STEPS = ["a" * 16, "b" * 16]
BASES = ["1" * 40, "2" * 40]
TREES = ["t1", "t2"]


def body(step: str, base: str) -> str:
    return body_of(f"x\n\nwhy\n\n{TRAILERS}\n", decision=ADVANCE, step=step, base=base)


wanteds = st.builds(
    lambda step, base, tree: Wanted(
        step=step, base=base, branch="main", tree=tree, title=f"step {step}", body=body(step, base)
    ),
    st.sampled_from(STEPS),
    st.sampled_from(BASES),
    st.sampled_from(TREES),
)
tips = st.builds(
    Tip,
    sha=st.sampled_from(["s1", "s2"]),
    ours=st.booleans(),
    parent=st.sampled_from(BASES),
    tree=st.sampled_from(TREES),
    author=st.just("Ada <ada@example.com>"),
)
bodies = st.one_of(
    st.builds(body, st.sampled_from(STEPS), st.sampled_from(BASES)),
    st.just("by hand"),
    st.builds(lambda step: withdrawn(body(step, BASES[0])), st.sampled_from(STEPS)),
)


def pull_of(state: PullState, text: str, *, merged: bool, base: str, sha: str) -> PullRequest:
    return PullRequest(
        number=7,
        state=state,
        merged=merged and state is PullState.CLOSED,
        head=BRANCH,
        head_sha=sha,
        base=base,
        title="t",
        body=text,
        url="u",
        author="bot",
    )


pulls = st.builds(
    pull_of,
    st.sampled_from(PullState),
    bodies,
    merged=st.booleans(),
    base=st.sampled_from(["main", "next"]),
    sha=st.sampled_from(["s1", "s2"]),
)
sights = st.builds(
    Sight,
    tip=st.none() | tips,
    pull=st.none() | pulls,
    known=st.builds(Known, number=st.sampled_from([0, 7, 8]), step=st.sampled_from(["", *STEPS]), sha=st.just("s1")),
)


def carried_out(choice: Choice, wanted: Wanted, sight: Sight) -> Sight:
    """What is there once it is done."""
    tip, pull = sight.tip, sight.pull
    if choice.push:
        tip = Tip(sha="new", ours=True, parent=wanted.base, tree=wanted.tree, author="us <us@localhost>")
    if choice.publish is Publish.CREATE:
        pull = pull_of(PullState.OPEN, wanted.body, merged=False, base="main", sha="new")
    if choice.publish is Publish.EDIT and pull is not None:
        pull = replace(pull, body=wanted.body)
    return Sight(tip=tip, pull=pull, known=Known())


@given(wanted=wanteds, sight=sights)
def test_what_is_done_is_not_done_again(wanted: Wanted, sight: Sight) -> None:
    """Whatever is there: after one pass the next one writes nothing, and says the same or that it waits."""
    choice = choose(wanted, sight)
    again = choose(wanted, carried_out(choice, wanted, sight))
    if choice.push or choice.publish is not Publish.NOTHING:
        assert again == Choice(ProposalOutcome.WAITING)


@given(wanted=wanteds, sight=sights)
def test_nobodys_work_is_overwritten(wanted: Wanted, sight: Sight) -> None:
    """A tip that is not ours is only replaced where a pull request that has ended keeps it."""
    choice = choose(wanted, sight)
    if sight.tip is not None and not sight.tip.ours and (choice.push or choice.drop):
        assert sight.pull is not None
        assert not sight.pull.open
        assert sight.pull.head_sha == sight.tip.sha
    ended = choose_end(sight, "main")
    assert not (ended.drop and sight.tip is not None and not sight.tip.ours)


@given(wanted=wanteds, sight=sights)
def test_what_a_person_closed_is_not_opened_again(wanted: Wanted, sight: Sight) -> None:
    """The same step, closed unmerged by somebody else than us, is neither proposed nor pushed."""
    pull = sight.pull
    if pull is not None and not pull.open and not pull.merged and marked(pull.body)[0] == wanted.step:
        assert choose(wanted, sight) == Choice(ProposalOutcome.HELD)


@given(wanted=wanteds, sight=sights)
def test_there_is_never_a_second_one(wanted: Wanted, sight: Sight) -> None:
    """While one is open, none is created."""
    if sight.pull is not None and sight.pull.open:
        assert choose(wanted, sight).publish is not Publish.CREATE


@given(sight=sights)
def test_withdrawing_ends(sight: Sight) -> None:
    """After it is closed and its branch is gone, nothing is left to do."""
    choice = choose_end(sight, "main")
    pull = sight.pull
    if choice.publish is Publish.CLOSE and pull is not None:
        pull = replace(pull, state=PullState.CLOSED, body=withdrawn(pull.body))
    tip = None if choice.drop else sight.tip
    if choice.drop or choice.publish is not Publish.NOTHING:
        again = choose_end(Sight(tip=tip, pull=pull), "main")
        assert again == Choice(ProposalOutcome.NOTHING)


def test_a_step_is_named_by_what_it_does_to_what() -> None:
    """The decision and the files that it changes count; the reason, which may have measured values in it, does not."""
    files = {"policies/a.yaml": b"1"}
    same = replace(ADVANCE, reason="because", measured=("99%",))
    assert step_digest(same, files) == step_digest(ADVANCE, files)
    reasoned = replace(ADVANCE, status=ADVANCE.status.model_copy(update={"reason": "success 91.2%"}))
    assert step_digest(reasoned, files) == step_digest(ADVANCE, files)
    others = [
        step_digest(replace(ADVANCE, weight=50), files),
        step_digest(ABORT, files),
        step_digest(replace(ADVANCE, move=Move.RESUME), files),
        step_digest(replace(ADVANCE, status=RolloutStatus()), files),
        step_digest(ADVANCE, {"policies/a.yaml": b"2"}),
        step_digest(ADVANCE, {"policies/b.yaml": b"1"}),
    ]
    assert len({step_digest(ADVANCE, files), *others}) == 1 + len(others)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("s\n\nfirst\nsecond\n\nA-B: c\nD: e\n", ("```text\nfirst\nsecond\n```", "A-B: c\nD: e\n")),
        ("s\n\nA-B: c\n", ("Merge this", "A-B: c\n")),
        ("s\n\nonly text\n", ("```text\nonly text\n```", "-->\n")),
        ("s\n", ("Merge this", "-->\n")),
        ("s", ("Merge this", "-->\n")),
    ],
)
def test_a_description_begins_with_the_values_and_ends_with_the_trailers(
    message: str, expected: tuple[str, str]
) -> None:
    """Whatever parts a message has."""
    text = body_of(message, decision=ADVANCE, step=STEPS[0], base=BASES[0])
    assert text.startswith(expected[0])
    assert text.endswith(expected[1])
    assert marked(text) == (STEPS[0], BASES[0])


@given(st.text(alphabet="`a \n", max_size=60))
def test_nothing_gets_out_of_the_block(text: str) -> None:
    """The fence is longer than any run of backticks inside."""
    described = body_of(f"s\n\n{text}\n\nA: b\n", decision=ADVANCE, step=STEPS[0], base=BASES[0])
    if described.startswith("```"):
        fence = described.partition("text\n")[0]
        inside = described.split(f"{fence}text\n", 1)[1].split(f"\n{fence}\n", 1)[0]
        assert fence not in inside


def test_a_description_fits() -> None:
    """The mark and the trailers stay, whatever has to be left out."""
    text = body_of("s\n\n" + "measured\n" * 20_000 + "\nA: b\n", decision=ABORT, step=STEPS[0], base=BASES[0])
    assert len(text) <= LIMIT
    assert "(more was left out here; the commit's message has all of it)\n```\n" in text
    assert text.endswith("\n\nA: b\n")
    assert marked(text) == (STEPS[0], BASES[0])


def test_a_withdrawn_description_is_about_nothing() -> None:
    """So that what we close ourselves is not taken for held."""
    assert marked(withdrawn(body(STEPS[0], BASES[0]))) == ("", "")


def test_a_title_fits() -> None:
    """It is the subject, cut where a forge would refuse it."""
    assert title_of("one\n\ntwo") == "one"
    assert len(title_of("x" * 1000)) == 250
