from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from reconciler.cli.demo.interrupts import Interrupted, Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """Installed handlers; whatever pytest had is put back, also what was ignored (by nohup)."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    found = Interrupts()
    found.install()
    yield found
    found.restore()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_work_wherever_it_is(signum: signal.Signals) -> None:
    """Every polite signal is one exception, which remembers its signal for the exit code; it is a KeyboardInterrupt."""
    with pytest.raises(KeyboardInterrupt) as caught:
        os.kill(os.getpid(), signum)
    assert isinstance(caught.value, Interrupted)
    assert caught.value.signum == signum


@pytest.mark.usefixtures("interrupts")
def test_a_second_signal_does_not_cut_clearing_up_short() -> None:
    """An impatient person can't make the stage leave a process behind."""
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_waits_until_the_shield_is_lowered(interrupts: Interrupts) -> None:
    """Between starting a process and writing down that it was started, nothing interrupts; nested shields count."""
    steps = []

    def start_two() -> None:
        with interrupts.shield():
            with interrupts.shield():
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("inner")
            steps.append("outer")
        steps.append("after")

    with pytest.raises(Interrupted):
        start_two()
    assert steps == ["inner", "outer"]


def test_an_error_under_the_shield_is_not_replaced_by_the_signal(interrupts: Interrupts) -> None:
    """What went wrong is shown, even if somebody pressed Ctrl-C meanwhile."""

    def fail() -> None:
        with interrupts.shield():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()


def test_nothing_is_raised_any_more_once_everything_is_taken_down(interrupts: Interrupts) -> None:
    """After `refuse`, signals are ignored for good."""
    interrupts.refuse()
    os.kill(os.getpid(), signal.SIGINT)
    with interrupts.shield():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_that_is_ignored_on_purpose_stays_ignored() -> None:
    """Under `nohup` the demo goes on when its terminal closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupts = Interrupts()
    try:
        interrupts.install()
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        interrupts.restore()
        assert signal.signal(signal.SIGHUP, before) is signal.SIG_IGN


def test_handlers_are_given_back() -> None:
    """Afterwards signals mean what they meant before."""
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    interrupts = Interrupts()
    interrupts.install()
    interrupts.restore()
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
