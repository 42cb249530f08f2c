"""What people are told of registries before a plan relies on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.cycle.doubts import doubts
from reconciler.errors import Diagnostic, Severity
from reconciler.model.discovered import Held, Knowledge, Standing

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PROBLEM = Diagnostic(code="discovery-registry", message="connection refused", hint="start it")


def standing(knowledge: Knowledge, *, problem: Diagnostic | None = None, held: tuple[Held, ...] = ()) -> Standing:
    return Standing(registry="dc1", kind="consul", knowledge=knowledge, problem=problem, held=held)


def test_a_registry_that_answers_is_no_news() -> None:
    """Nothing is said of what is well."""
    assert [*doubts([standing(Knowledge.LIVE)])] == []


def test_a_registry_that_is_down_says_what_is_in_use_instead() -> None:
    """Stale and silent are told apart, with why and what to do; both are warnings, as traffic goes on."""
    stale, silent = doubts([standing(Knowledge.STALE, problem=PROBLEM), standing(Knowledge.SILENT, problem=PROBLEM)])
    assert (stale.code, silent.code) == ("discovery-stale", "discovery-silent")
    assert "what it listed last is in use: connection refused" in stale.message
    assert "nothing is known of what it lists: connection refused" in silent.message
    assert {stale.severity, silent.severity} == {Severity.WARNING}
    assert stale.hint == "start it"


def test_a_registry_that_is_silent_for_longer_than_it_is_waited_for_is_told() -> None:
    """It has not failed yet; but the plan is made without it, or with what it said long ago."""
    silent, stale = doubts([standing(Knowledge.SILENT), standing(Knowledge.STALE)])
    assert (silent.code, stale.code) == ("discovery-silent", "discovery-stale")
    assert silent.message == "registry dc1 has not answered yet, and nothing is known of what it lists"
    assert stale.message == "registry dc1 has not answered yet, and what it listed last is in use"
    assert silent.hint


def test_what_an_answer_lacks_is_a_warning() -> None:
    """A registry that is live may still have entries that can't be used."""
    (found,) = doubts([standing(Knowledge.LIVE, problem=PROBLEM)])
    assert (found.code, found.severity) == ("discovery-registry", Severity.WARNING)


def test_a_loss_that_is_not_believed_is_told_with_its_end() -> None:
    """Of one service, and of the registry altogether; in words that stay the same while it lasts."""
    until = NOW + timedelta(minutes=5)
    losses = (
        Held(host="", had=40, has=0, since=NOW, until=until),
        Held(host="reviews.default.svc.cluster.local", had=3, has=1, since=NOW, until=until),
    )
    wide, one = doubts([standing(Knowledge.LIVE, held=losses)])
    assert wide.code == one.code == "discovery-held"
    assert "lists 0 instances altogether where it listed 40" in wide.message
    assert "lists 1 instance of reviews.default.svc.cluster.local where it listed 3" in one.message
    assert "until 2026-11-23 12:05:00 UTC" in one.message
