"""Evidence between passes: what is recorded when, and who is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.cycle.walking.memory import Memory
from reconciler.model.key import Key
from reconciler.model.receipt import Receipt
from reconciler.model.rollout import Phase
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.evidence_plain import to_plain
from tests.cycle.walked import START, Hands

A, B = Key("default", "a"), Key("default", "b")
FOUND = Evidence(run="r", phase=Phase.PROGRESSING, step=0, entered=START)


def receipt(rollouts: Mapping[Key, Mapping[str, Any]], *, commit: str = "c") -> Receipt:
    return Receipt(
        commit=commit,
        at=START,
        subject="",
        policy_commit="p",
        plan_digest="",
        outcome="applied",
        proxies={},
        rollouts=rollouts,
    )


def memory(*keys: Key) -> tuple[Memory, Hands]:
    """Of rollouts about which nothing is known."""
    clock = Hands()
    found = Memory(clock)
    assert found.load(None, keys) == ()
    return found, clock


def test_what_must_be_kept_is_owed_at_once_and_until_it_is_recorded() -> None:
    """Its subject is the commit's; what does not need to be kept travels only with its own rollout."""
    found, _ = memory(A, B)
    found.put(A, FOUND, keep=True, subject="a: new")
    found.put(B, FOUND, keep=False, subject="b: counted")
    assert found.owed == {A}
    assert found.subject == "a: new"
    assert found.plain() == {A: to_plain(FOUND)}
    found.put(A, replace(FOUND, note="later"), keep=False, subject="a: later")
    assert found.owed == {A}
    found.recorded(found.plain())
    assert found.owed == frozenset()
    assert found.subject == ""
    assert found.plain() == {A: to_plain(replace(FOUND, note="later"))}


def test_a_receipt_that_was_looked_at_undoes_nothing_that_was_written_since() -> None:
    """In one pass an abort is recorded and the branch moves; the receipt that the pass began with is the older word."""
    found = Memory(Hands())
    before = receipt({A: to_plain(FOUND)})
    found.load(before, [A])
    newer = replace(FOUND, note="aborted")
    found.put(A, newer, keep=True, subject="a: aborted")
    found.recorded(found.plain())
    assert found.load(before, [A, B]) == ()
    assert found[A] == newer
    assert found[B] is None
    found.load(replace(before, commit="d"), [A, B])
    assert found[A] == FOUND


def test_counts_alone_are_recorded_once_a_minute_at_most_and_less_and_less_often() -> None:
    """A run that waits for a person for weeks must not fill the record; by the clock that only grows, whoever sets the other."""
    found, clock = memory(A)
    found.put(A, replace(FOUND, note="0"), keep=False, subject="a")
    clock.set = 7200.0
    clock.passed = 59.0
    assert found.owed == frozenset()
    clock.passed = 60.0
    assert found.owed == {A}
    found.recorded(found.plain())
    at = 60.0
    for number, pause in enumerate([120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]):
        found.put(A, replace(FOUND, note=f"{number} later"), keep=False, subject="a")
        clock.passed = at = at + pause - 1
        assert found.owed == frozenset(), pause
        clock.passed = at = at + 1
        assert found.owed == {A}
        found.recorded(found.plain())
    found.put(A, replace(FOUND, step=1), keep=True, subject="a")
    found.recorded(found.plain())
    found.put(A, replace(FOUND, step=1, note="counted"), keep=False, subject="a")
    clock.passed = at + 60.0
    assert found.owed == {A}


def test_what_says_nothing_new_is_never_owed() -> None:
    """However often it is found out, and however important."""
    found, clock = memory(A)
    found.load(receipt({A: to_plain(FOUND)}), [A])
    found.put(A, FOUND, keep=True, subject="a")
    clock.passed = 600.0
    assert found.owed == frozenset()
    assert found.plain() == {A: to_plain(FOUND)}


def test_what_somebody_else_recorded_counts() -> None:
    """Another process has walked on; what we found out since then goes. Our own record is no news."""
    found, _ = memory(A)
    found.put(A, FOUND, keep=True, subject="a")
    found.recorded(found.plain())
    newer = replace(FOUND, note="ours, newer")
    found.put(A, newer, keep=False, subject="a")
    found.load(receipt({A: to_plain(FOUND)}), [A])
    assert found[A] == newer
    theirs = replace(FOUND, step=3)
    found.load(receipt({A: to_plain(theirs)}, commit="d"), [A])
    assert found[A] == theirs
    assert found.owed == frozenset()


def test_a_receipt_is_believed_once() -> None:
    """A pass records an abort in its middle; the receipt that it began with does not bring back what was before."""
    found, _ = memory(A)
    first = receipt({A: to_plain(FOUND)})
    found.load(first, [A])
    aborted = replace(FOUND, pausing="x")
    found.put(A, aborted, keep=True, subject="a")
    found.recorded(found.plain())
    found.load(first, [A])
    assert found[A] == aborted


def test_broken_evidence_is_named_and_the_rollout_goes_on_without_it() -> None:
    """Others' evidence is not in doubt. It stands until it is written over with what is found out."""
    found, _ = memory(A, B)
    broken = receipt({A: {"run": 1}, B: to_plain(FOUND)})
    (note,) = found.load(broken, [A, B])
    assert note.code == "record-unreadable"
    assert "the rollout a" in note.message
    assert found.get(A) is None
    assert found[B] == FOUND
    assert found.plain() == {A: {"run": 1}, B: to_plain(FOUND)}
    found.put(A, FOUND, keep=True, subject="a")
    assert found.plain()[A] == to_plain(FOUND)


def test_what_is_taken_back_is_as_if_it_had_not_been_found() -> None:
    """An abort that can't be recorded is not done, and found again by the next pass."""
    found, _ = memory(A)
    found.put(A, FOUND, keep=False, subject="a")
    found.put(A, replace(FOUND, pausing="x"), keep=True, subject="a")
    found.restore(A, FOUND)
    assert found[A] == FOUND


def test_a_rollout_that_is_gone_is_forgotten() -> None:
    """Its evidence leaves the record with it."""
    found, _ = memory(A, B)
    for key in (A, B):
        found.put(key, FOUND, keep=True, subject=key.name)
    assert found.subject == "a; b"
    found.load(None, [B])
    assert found.get(A) is None
    assert found.plain() == {B: to_plain(FOUND)}
