from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from reconciler.cli.demo.commands import DaemonExitedError
from reconciler.cli.demo.screen import Screen
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.traffic import Sample, Tally
from reconciler.cli.demo.witness import ClaimError, Witness, none_failed


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A stage after one pass: all reviews come from v1."""
    with Stage() as found:
        assert found.reconcile().code == 0
        yield found


@pytest.fixture
def witness(stage: Stage) -> Witness:
    """A witness whose screen nobody looks at."""
    return Witness(stage, Screen(Console(file=io.StringIO())))


def test_a_split_that_git_does_not_ask_for_is_no_proof(witness: Witness) -> None:
    """The demo fails if the traffic does something else than what it says."""
    with witness.traffic:
        witness.measured({"v1": 100, "v2": 0})
        with pytest.raises(ClaimError, match=r"reviews v1 served \d+ of \d+ requests; 90% means"):
            witness.measured({"v1": 90, "v2": 10})


def test_one_failed_request_fails_the_demo() -> None:
    """Zero failures are claimed, so one is too many, and its words are shown."""
    fine = [Sample(0.0, 0.1, "200", "v1")] * 999
    none_failed(Tally.of(fine))
    with pytest.raises(ClaimError, match="1 of 1000 requests failed: 503 no healthy upstream"):
        none_failed(Tally.of([*fine, Sample(0.0, 0.1, "503", "", "no healthy upstream")]))


def test_a_daemon_that_died_ends_the_waiting_at_once(witness: Witness) -> None:
    """Its last words are shown instead of a timeout."""
    witness.start_daemon("--interval", "never")
    with pytest.raises(DaemonExitedError, match="'never' is not a duration"):
        witness.until(lambda: False, "nothing")


def test_the_receipt_of_a_pass_is_proof(stage: Stage, witness: Witness) -> None:
    """What the record branch says of a commit is shown once it is there."""
    witness.proven(stage.clone.tip("main"))
