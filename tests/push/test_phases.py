from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.push.phases import Phase, State, Step, state, steps
from tests.push.lab import Shelf, made

SHELF = Shelf("/d")
ORDER = list(Phase)
UPSTREAM = {ResourceType.SECRET, ResourceType.CLUSTER, ResourceType.ENDPOINTS}


def listener(name: str, port: int) -> Resource:
    return SHELF.listener(name, port, "r")


def of(*resources: Resource) -> State:
    return {item.id: item for item in resources}


def _files(n: int) -> dict[str, Any]:
    return {"certificate_chain": {"filename": f"/{n}.pem"}}


@st.composite
def states(draw: st.DrawFn) -> State:
    """A few resources of every type, in few enough variants that two states have much in common."""
    names = st.sampled_from("abc")
    variants: dict[ResourceType, Callable[[str, int], Resource]] = {
        ResourceType.CLUSTER: lambda name, n: SHELF.cluster(name, connect_timeout=f"{n}s"),
        ResourceType.ENDPOINTS: SHELF.endpoints,
        ResourceType.LISTENER: listener,
        ResourceType.ROUTE: lambda name, n: SHELF.route(name, a=n),
        ResourceType.SECRET: lambda name, n: made(ResourceType.SECRET, name=name, tls_certificate=_files(n)),
    }
    found: dict[ResourceId, Resource] = {}
    for type_, make in variants.items():
        for name, n in draw(st.dictionaries(names, st.integers(1, 3))).items():
            item = make(name, n)
            assert item.id.type is type_
            found[item.id] = item
    return found


def arriving(step: Step) -> set[ResourceId]:
    return {item.id for item in step.put} - set(step.before)


@settings(deadline=None, max_examples=60)
@given(states())
def test_nothing_to_do_is_no_step(live: State) -> None:
    """A state needs no steps to itself."""
    assert steps(live, live) == ()


@settings(deadline=None, max_examples=60)
@given(states(), states())
def test_steps_lead_from_live_to_wanted(live: State, wanted: State) -> None:
    """Steps chain: each begins where the last ended, the first at what serves and the last ends at what should."""
    found = steps(live, wanted)
    ends = [live, *(step.after for step in found)]
    assert [step.before for step in found] == ends[:-1]
    assert dict(ends[-1]) == dict(wanted)
    assert all(step.put or step.gone for step in found)


@settings(deadline=None, max_examples=60)
@given(states(), states())
def test_phases_come_in_order(live: State, wanted: State) -> None:
    """ADD before REPOINT before REMOVE."""
    phases = [ORDER.index(step.phase) for step in steps(live, wanted)]
    assert phases == sorted(phases)


@settings(deadline=None, max_examples=60)
@given(states(), states())
def test_adding_changes_nothing_that_serves(live: State, wanted: State) -> None:
    """ADD only creates: whatever served before serves unchanged at its end."""
    for step in steps(live, wanted):
        if step.phase is Phase.ADD:
            assert step.before.items() <= step.after.items()


@settings(deadline=None, max_examples=60)
@given(states(), states())
def test_removing_only_takes_away(live: State, wanted: State) -> None:
    """REMOVE puts nothing: all that is wanted is there before anything goes."""
    for step in steps(live, wanted):
        if step.phase is Phase.REMOVE:
            assert not step.put
            assert step.after.items() <= step.before.items()


@settings(deadline=None, max_examples=60)
@given(states(), states())
def test_only_a_listener_goes_before_the_removal(live: State, wanted: State) -> None:
    """Before REMOVE nothing goes, but a listener whose address a new one takes."""
    for step in steps(live, wanted):
        if step.phase is not Phase.REMOVE:
            assert all(id_.type is ResourceType.LISTENER for id_ in step.gone)
            assert not step.gone or arriving(step)


@settings(deadline=None, max_examples=60)
@given(states(), states())
def test_what_is_referred_to_comes_first_and_goes_last(live: State, wanted: State) -> None:
    """Clusters and endpoints never share a step with listeners and routes; they come before them and go after them."""
    order: dict[Phase, list[bool]] = {}
    for step in steps(live, wanted):
        assert step.types <= UPSTREAM or not step.types & UPSTREAM
        order.setdefault(step.phase, []).append(step.types <= UPSTREAM)
    for phase, upstream in order.items():
        assert upstream == sorted(upstream, reverse=phase is not Phase.REMOVE)


def test_one_weight_is_one_step() -> None:
    """A changed weight is one step that puts one route configuration."""
    kept = (SHELF.cluster("a"), SHELF.endpoints("a", 1), listener("l", 1))
    before, after = SHELF.route("r", a=1), SHELF.route("r", a=2)
    (step,) = steps(of(*kept, before), of(*kept, after))
    assert (step.phase, step.put, step.gone) == (Phase.REPOINT, (after,), ())


def test_changed_endpoints_move_traffic_and_so_wait_for_new_listeners() -> None:
    """An address that a cluster gains may be a listener that another proxy only has since ADD, so it comes in REPOINT."""
    cluster = SHELF.cluster("a")
    (step,) = steps(of(cluster, SHELF.endpoints("a", 1)), of(cluster, SHELF.endpoints("a", 1, 2)))
    assert step.phase is Phase.REPOINT


def test_an_address_is_handed_over_in_one_step() -> None:
    """A new listener on the address of one that goes replaces it in one update; Envoy refuses both at once."""
    old, new, other = listener("old", 1), listener("new", 1), listener("other", 2)
    add, move = steps(of(old), of(new, other))
    assert (add.phase, add.put, add.gone) == (Phase.ADD, (other,), ())
    assert (move.phase, move.put, move.gone) == (Phase.REPOINT, (new,), (old.id,))


def test_a_new_listener_waits_for_one_that_moves_away() -> None:
    """The address that a changed listener leaves is taken only when it leaves."""
    step, *rest = steps(of(listener("a", 1)), of(listener("a", 2), listener("b", 1)))
    assert not rest
    assert step.phase is Phase.REPOINT
    assert {item.id.name for item in step.put} == {"a", "b"}


def test_runtime_keys_and_static_resources_are_no_state() -> None:
    """What a push can't put into files is left out of its plan."""
    key = Resource.of(ResourceType.RUNTIME, "k", b"1")
    static, ours = SHELF.cluster("static"), SHELF.cluster("ours")
    assert dict(state(of(key, static, ours), frozenset({static.id}))) == of(ours)
