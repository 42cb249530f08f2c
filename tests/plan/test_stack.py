"""What was live, read as a stack: what was undone is nothing to go back to, and what is below the top is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.plan.splits import Split
from reconciler.plan.stack import Stack, by_route

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
STATES = st.lists(st.integers(0, 5), min_size=1, max_size=25)


def stacked(states: list[int]) -> Stack[int]:
    """One state a day."""
    found: Stack[int] = Stack()
    for day, state in enumerate(states):
        found.show(state, START + day * DAY)
    return found


def undone(states: list[int]) -> set[int]:
    """By the definition: between two times of a state that was still to go back to, and not come to again since."""
    for first, state in enumerate(states):
        for again in range(len(states) - 1, first, -1):
            if states[again] == state:
                rest = states[: first + 1] + states[again + 1 :]
                return (set(states[first + 1 : again]) | undone(rest)) - kept(rest)
    return set()


def kept(states: list[int]) -> set[int]:
    return set(states) - undone(states)


@given(STATES)
def test_what_was_undone_is_not_reachable_and_what_is_below_is(states: list[int]) -> None:
    """Every state that was live is one or the other, whatever the order."""
    stack = stacked(states)
    held = {state for state in states if stack.holds(state, since=START)}
    assert held == kept(states)
    assert set(states) - held == undone(states)
    assert [level.state for level in stack][-1] == states[-1]


@given(STATES)
def test_going_back_takes_nothing_from_what_is_below(states: list[int]) -> None:
    """Whoever goes back to a level can go back further, and not forward again."""
    before = [level.state for level in stacked(states)]
    for depth, state in enumerate(before):
        assert [level.state for level in stacked([*states, state])] == before[: depth + 1]


@given(STATES, st.integers(0, 30))
def test_a_level_counts_while_it_was_live_lately(states: list[int], days: int) -> None:
    """From when another took its place; the top always does."""
    stack, since = stacked(states), START + days * DAY
    levels = list(stack)
    assert stack.holds(levels[-1].state, since=since)
    assert levels[-1].left is None
    for level in levels[:-1]:
        assert level.left is not None
        assert stack.holds(level.state, since=since) == (level.left >= since)


@given(STATES, st.integers(1, 4))
def test_a_stack_may_forget_what_is_deepest(states: list[int], levels: int) -> None:
    """And goes on as before with the rest."""
    stack = stacked(states)
    before = [level.state for level in stack]
    stack.keep(levels)
    assert [level.state for level in stack] == before[-levels:]
    stack.show(before[-1], START + 99 * DAY)
    stack.show(9, START + 99 * DAY)
    assert [level.state for level in stack] == [*before[-levels:], 9]


def test_an_aborted_canary_is_no_way_forward() -> None:
    """0%, 10%, 50%, aborted: there is nothing to go back to. After 10% again: only 0%."""
    assert [level.state for level in stacked([0, 10, 50, 0])] == [0]
    assert [level.state for level in stacked([0, 10, 50, 0, 10])] == [0, 10]


def test_routes_of_one_name_go_together() -> None:
    """Several matches of one VirtualService route: the state is all of their shares."""
    one, other = Split("r", "h", "a", (("x", 100.0),)), Split("r", "h", "a", (("y", 100.0),))
    assert by_route([one, other, Split("r", "h", "b", (("x", 100.0),))]) == {
        ("r", "h", "a"): (one.shares, other.shares),
        ("r", "h", "b"): ((("x", 100.0),),),
    }
