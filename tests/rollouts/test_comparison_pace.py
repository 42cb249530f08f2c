"""How long one look of a comparison is: the clock's business, not that of who reads how often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.reading import Counts
from reconciler.rollouts.comparison import State, Window, begin, update


def window(slot: int | None, *, requests: int = 100, errors: int = 1, share: float = 0.5) -> Window:
    counts = Counts(requests=requests, errors=errors)
    return Window(canary=counts, stable=counts, share=share, slot=slot)


def fed(*windows: Window) -> State:
    state = begin("success", rate=0.01)
    for item in windows:
        state = update(state, item)
    return state


def test_windows_of_one_slot_are_one_look() -> None:
    """Ten readings within ten seconds must not pass for ten independent ones: an instance's bad minute would be cut into many."""
    often = fed(*(window(slot, requests=50) for slot in range(5) for _ in range(10)), window(5))
    seldom = fed(*(window(slot, requests=500, errors=10) for slot in range(5)), window(5))
    assert often.bets == seldom.bets == 4
    assert often.epochs == seldom.epochs


def test_a_slot_with_too_few_requests_goes_on_in_the_next() -> None:
    """Nothing that was counted is lost, and nothing is betted on twice."""
    state = fed(*(window(slot, requests=20) for slot in range(9)))
    assert state.batch is not None
    assert state.canary.requests == 180
    assert state.batches == 1
    assert state.batch.canary == 60


def test_a_batch_ends_with_its_weight() -> None:
    """What came at another weight is another batch, and what was complete before it counts."""
    state = fed(window(1), window(2), window(2, share=0.25))
    assert state.bets == 1
    assert state.batch is not None
    assert (state.batch.share, state.batch.canary) == (0.25, 100)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200)), max_size=30))
def test_a_state_with_an_open_slot_survives_the_record(steps: list[tuple[int, int]]) -> None:
    """A restart in the middle of a slot changes nothing of what follows."""
    state, slot = begin("success", rate=0.01), 0
    for further, requests in steps:
        slot += further
        state = update(State.from_plain(state.to_plain()), window(slot, requests=requests, errors=0))
        assert State.from_plain(state.to_plain()) == state
