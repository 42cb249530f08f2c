from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.resource import Resource, ResourceType
from reconciler.plan.splits import Split, pair, route_splits, runtime_prefix, splits

from .fleet import HOST, V1, V2, V3, build, canary, route, routes, runtime, view

PLACE = ("9080", f"{HOST}:9080", "primary")


def test_shares_are_percents_of_the_total() -> None:
    """Any positive total is valid, as in Istio; a destination of weight 0 gets nothing."""
    (split,) = splits(view(routes(route({V1: 999, V2: 1, V3: 0}))))
    assert split == Split(*PLACE, shares=((V1, 99.9), (V2, 0.1)))
    assert split.service == "reviews"
    assert (split.share(V2), split.share(V3)) == (0.1, 0.0)


def test_a_single_cluster_gets_everything() -> None:
    """A route without a split is a split of one."""
    (split,) = splits(view(routes(route(V1))))
    assert split.shares == ((V1, 100.0),)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=4), st.integers(1, 50))
def test_equal_fractions_are_equal_splits(weights: list[int], factor: int) -> None:
    """5 of 100 and 50 of 1,000 are the same split, exactly."""
    names = [f"c{index}" for index in range(len(weights))]
    one = routes(route(dict(zip(names, weights, strict=True))))
    other = routes(route(dict(zip(names, (factor * weight for weight in weights), strict=True))))
    assert route_splits(one) == route_splits(other)


def test_routes_that_send_nowhere_are_no_splits() -> None:
    """Redirects, direct responses, clusters taken from headers, and weights that total 0."""
    direct = {"name": "d", "match": {"prefix": "/"}, "direct_response": {"status": 502}}
    header = {"name": "h", "match": {"prefix": "/"}, "route": {"cluster_header": "x"}}
    assert splits(view(routes(direct, header, route({V1: 0})))) == ()
    assert route_splits(Resource.of(ResourceType.ROUTE, "r", b"\xff")) == ()


def test_a_service_without_metadata_is_called_by_its_host() -> None:
    """Default routes come from no VirtualService."""
    plain = {"name": "default", "match": {"prefix": "/"}, "route": {"cluster": V1}}
    assert [split.service for split in splits(view(routes(plain)))] == ["reviews"]
    host = {"name": "api.example.com:80", "domains": ["*"], "routes": [plain]}
    (split,) = splits(view(build(ResourceType.ROUTE, {"name": "r", "virtual_hosts": [host]})))
    assert split.service == "api.example.com"


def test_runtime_keys_of_one_prefix_are_a_split() -> None:
    """Weights of a proxy that someone else configures are keys `<prefix>.<cluster>`."""
    keys = [runtime("routing.reviews.v1", 3), runtime("routing.reviews.v2", 1), runtime("routing.a.v1", 0)]
    (split,) = splits(view(*keys, runtime("x.y", "true")))
    assert split == Split("", "", "routing.reviews", (("v1", 75.0), ("v2", 25.0)))
    assert split.service == "reviews"


def test_the_prefix_of_a_key_is_known_or_guessed() -> None:
    """A cluster's name may have dots, so only a known prefix is sure."""
    assert runtime_prefix(f"routing.reviews.{V1}") == "routing.reviews"
    assert runtime_prefix("routing.reviews.v1") == "routing.reviews"
    assert runtime_prefix("a.b.v1.example.com", ("a", "a.b")) == "a.b"
    assert runtime_prefix("nodot") == "nodot"
    keys = [runtime("r.v1.x", 1), runtime("r.v2.x", 1)]
    (split,) = splits(view(*keys), prefixes=("r",))
    assert split.shares == (("v1.x", 50.0), ("v2.x", 50.0))


def _paired(old: Resource, new: Resource) -> list[float | None]:
    found = pair(route_splits(old), route_splits(new))
    return [before.share(V2) if before else None for before, _ in found]


def test_a_route_is_the_same_by_name_even_if_it_splits_in_two() -> None:
    """Another condition on a rule makes another Envoy route; neither is new."""
    one = routes(route({V1: 95, V2: 5}))
    two = routes(route({V1: 0, V2: 100}, prefix="/a"), route({V1: 0, V2: 100}))
    assert _paired(one, two) == [5, 5]
    assert _paired(two, one) == [100]


def test_a_renamed_route_is_the_same_by_what_it_matches() -> None:
    """A rename doesn't make a route new."""
    assert _paired(canary(5), routes(route({V1: 0, V2: 100}, name="other"))) == [5]
    assert _paired(canary(5), routes(route({V1: 0, V2: 100}, name="other", prefix="/x"))) == [None]


def test_the_least_share_of_several_candidates_counts() -> None:
    """Guards judge the largest step that any request can see."""
    old = routes(route({V1: 50, V2: 50}, prefix="/a"), route({V1: 95, V2: 5}, prefix="/b"))
    assert _paired(old, canary(60)) == [5]
