"""The newest endpoints in load assignments: made once, remembered within bounds, and the same for every thread."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery.merging.newest import Newest
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.services import Endpoint
from reconciler.xds import Plane


class Counting:
    """A recipe that writes addresses one after the other, and counts how often it is asked."""

    def __init__(self, host: str, *, name: str = "", size: int = 1) -> None:
        self.host = host
        self.asked = 0
        self._name = name or host
        self._size = size
        self._lock = threading.Lock()

    def at(self, endpoints: Sequence[Endpoint]) -> Resource:
        """See `Recipe`."""
        with self._lock:
            self.asked += 1
        body = " ".join(item.address for item in endpoints).encode() * self._size
        made = Resource.of(ResourceType.ENDPOINTS, self._name, body)
        return Resource(made.id, made.body, made.version, self)


def at(*addresses: str) -> tuple[Endpoint, ...]:
    """Endpoints."""
    return tuple(Endpoint(address, {"http": 80}, {}) for address in addresses)


def test_a_resource_without_a_recipe_is_left_alone() -> None:
    """As is one of a host that nothing is known of."""
    newest = Newest()
    plain = Resource.of(ResourceType.CLUSTER, "x", b"x")
    recipe = Counting("x")
    made = recipe.at(at("1"))
    assert newest.fresh(plain) is plain
    assert newest.fresh(made) is made
    assert recipe.asked == 1


def test_the_newest_endpoints_are_put_in() -> None:
    """And the hosts that have others are named: each change once."""
    newest, recipe = Newest(), Counting("x")
    made = recipe.at(at("1"))
    assert newest.update({"x": at("1"), "y": at()}) == {"x", "y"}
    assert newest.fresh(made) is made
    assert newest.update({"x": at("1"), "y": at()}) == frozenset()
    assert newest.update({"x": at("2"), "y": at()}) == {"x"}
    assert newest.fresh(made).body == b"2"
    assert newest.fresh(made).recipe is recipe


def test_a_recipe_is_asked_once_for_all_proxies() -> None:
    """Ten thousand endpoints for twenty proxies, from two threads at once, are written once."""
    newest, recipe = Newest(), Counting("x", size=1_000)
    made = recipe.at(at("1"))
    newest.update({"x": at(*map(str, range(1_000)))})
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(newest.fresh, [made] * 20)]
    assert recipe.asked == 2
    assert all(item is found[0] for item in found)


def test_a_service_that_is_gone_keeps_its_last_endpoints() -> None:
    """Taking it away is for a pass; until then nothing goes back to what an older pass compiled."""
    newest, recipe = Newest(), Counting("x")
    made = recipe.at(at("1"))
    newest.update({"x": at("2")})
    assert newest.update({}) == frozenset()
    assert newest.fresh(made).body == b"2"
    assert newest.update({"x": at("2")}) == frozenset()
    assert newest.update({"x": at("3")}) == {"x"}
    assert newest.fresh(made).body == b"3"


def test_what_is_remembered_is_bounded() -> None:
    """Recipes that no pass uses any more make room; the newest is always kept."""
    newest = Newest(limit=2_200)  # two of them, with what they take beside their content
    newest.update({"x": at("1")})
    recipes = [Counting("x", name=str(number), size=40) for number in range(5)]
    for recipe in recipes:
        newest.fresh(Resource(recipe.at(()).id, b"", "old", recipe))
    for recipe in reversed(recipes):
        newest.fresh(Resource(recipe.at(()).id, b"", "old", recipe))
    assert [recipe.asked for recipe in recipes] == [4, 4, 4, 3, 3]


def test_small_ones_take_room_too() -> None:
    """Each compiling makes new recipes; those of before are let go, however little their content is."""
    newest = Newest(limit=10_000)
    newest.update({"x": at()})
    recipes = [Counting("x", name=str(number)) for number in range(20)]
    made = [weakref.ref(recipe) for recipe in recipes]
    for recipe in recipes:
        newest.fresh(Resource(recipe.at(()).id, b"", "old", recipe))
    del recipe
    recipes.clear()
    gc.collect()
    assert sum(each() is not None for each in made) < 10


def test_hosts_that_come_and_go_are_forgotten_in_time() -> None:
    """A platform that makes up names does not fill the memory."""
    newest = Newest()
    recipe = Counting("0")
    made = recipe.at(at("1"))
    for number in range(10_002):
        newest.update({str(number): at("2")})
    assert newest.fresh(made) is made


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), st.lists(st.sampled_from("12"), max_size=2)), max_size=6))
def test_fresh_is_the_recipe_at_the_newest_endpoints(steps: list[dict[str, list[str]]]) -> None:
    """Whatever came before; and exactly the hosts whose endpoints differ are named."""
    newest = Newest()
    recipes = {host: Counting(host) for host in "xyz"}
    known: dict[str, tuple[Endpoint, ...]] = {}
    for step in steps:
        new = {host: at(*addresses) for host, addresses in step.items()}
        assert newest.update(new) == {host for host in new if known.get(host) != new[host]}
        known |= new
        for host, recipe in recipes.items():
            made = recipe.at(at("old"))
            assert newest.fresh(made) == (recipe.at(known[host]) if host in known else made)


class Failing(Counting):
    """A recipe that can't take one address."""

    def at(self, endpoints: Sequence[Endpoint]) -> Resource:
        """See `Recipe`."""
        made = super().at(endpoints)
        if any(item.address == "bad" for item in endpoints):
            raise ValueError("bad")
        return made


def test_a_recipe_that_fails_leaves_what_it_made_last() -> None:
    """It is said whose, and asked again only for other endpoints; nobody else is concerned."""
    newest, recipe, other = Newest(), Failing("x"), Counting("x", name="y")
    made, also = recipe.at(at("1")), other.at(at("1"))
    newest.update({"x": at("bad")})
    assert [newest.fresh(made) for _ in range(2)] == [made] * 2
    assert recipe.asked == 2
    newest.update({"x": at("2")})
    good = newest.fresh(made)
    assert good.body == b"2"
    assert newest.faults({"x"}) == {}
    newest.update({"x": at("bad")})
    asked = recipe.asked
    assert [newest.fresh(made) for _ in range(3)] == [good] * 3
    assert recipe.asked == asked + 1
    assert newest.fresh(also).body == b"bad"
    assert {host: str(error) for host, error in newest.faults({"x", "z"}).items()} == {"x": "bad"}
    assert newest.faults({"z"}) == {}
    newest.update({"x": at("3")})
    assert newest.fresh(made).body == b"3"
    assert newest.faults({"x"}) == {}


def test_one_that_fails_keeps_no_change_from_other_proxies() -> None:
    """Those that it is for get everything else that has changed, too."""
    newest = Newest()
    plane = Plane(fresh=newest.fresh)
    bad, good = (item.at(at("1")) for item in (Failing("x"), Counting("y")))
    newest.update({"x": at("1"), "y": at("1")})
    keys = [Key("default", name) for name in ("one", "two")]
    for key, view in zip(keys, ([bad, good], [good]), strict=True):
        plane.publish(key, view)
    newest.update({"x": at("bad"), "y": at("2")})
    moved = plane.refresh({"x", "y"}).resources
    assert {key: [item.body for item in items] for key, items in moved.items()} == {key: [b"2"] for key in keys}
