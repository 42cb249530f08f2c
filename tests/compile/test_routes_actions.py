"""Where requests go and what is done to them on the way: splits, hashes, headers, rewrites, mirrors, retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from envoy.config.route.v3.route_components_pb2 import Route
from hypothesis import given
from hypothesis import strategies as st

from reconciler.compile.routes.hashing import along_the_hash, hash_policies
from reconciler.compile.routes.headers import authority, fill_headers
from reconciler.model.protos import to_dict
from reconciler.model.trafficpolicy import ConsistentHashLB, CookieAttribute, HTTPCookie
from reconciler.model.virtualservice import HeaderOperations, Headers
from tests.compile.meshes import compiled, documents, only, routes, sidecar_proxy, workload
from tests.compile.routed import HOST, NAME, SERVICES, one, policy, routed

_SPLIT = "route: [{destination: {host: a, subset: v1}, weight: 3}, {destination: {host: a, subset: v2}, weight: 1}]"


def _hashed(spec: str, http: str = f"  - {{{_SPLIT}}}\n") -> dict[str, Any]:
    """The action of a rule whose destinations have a DestinationRule."""
    rule = f"kind: DestinationRule\nmetadata: {{name: a}}\nspec: {{host: a, {spec}}}\n"
    action: dict[str, Any] = one(http, rule)["route"]
    return action


# Hashing


def test_a_hashed_split_picks_by_the_hash_too() -> None:
    """Along a total that is always the same, so that clients stay where they are when the written total changes."""
    action = _hashed("trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}")
    assert action["hash_policy"] == [{"header": {"header_name": "x-user"}}]
    assert action["weighted_clusters"]["use_hash_policy"] is True
    assert [item["weight"] for item in action["weighted_clusters"]["clusters"]] == [750_000, 250_000]


def test_a_split_without_a_hash_is_as_written() -> None:
    """Weights, and no policy."""
    action = _hashed("trafficPolicy: {loadBalancer: {simple: RANDOM}}")
    assert "hash_policy" not in action
    assert "use_hash_policy" not in action["weighted_clusters"]
    assert [item["weight"] for item in action["weighted_clusters"]["clusters"]] == [3, 1]


def test_every_key_stands_once_whoever_asks_for_it() -> None:
    """Subsets with a key of their own, and others that have the rule's."""
    policies = (
        "[{name: v1, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}, {name: v2}, {name: v3}]"
    )
    http = (
        "  - route: [" + ", ".join(f"{{destination: {{host: a, subset: v{n}}}, weight: 1}}" for n in (1, 2, 3)) + "]\n"
    )
    spec = f"subsets: {policies}, trafficPolicy: {{loadBalancer: {{consistentHash: {{httpHeaderName: X-User}}}}}}"
    action = _hashed(spec, http)
    assert action["hash_policy"] == [
        {"connection_properties": {"source_ip": True}},
        {"header": {"header_name": "X-User"}},
    ]


def test_keys_of_every_kind() -> None:
    """Header, cookie in full, address, query parameter; a key that hashes nothing is none."""
    cookie = HTTPCookie(
        name="c", path="/p", ttl=timedelta(seconds=90), attributes=(CookieAttribute(name="SameSite", value="Strict"),)
    )
    keys = (
        ConsistentHashLB(http_header_name="x"),
        ConsistentHashLB(http_header_name="X"),
        None,
        ConsistentHashLB(http_cookie=cookie),
        ConsistentHashLB(http_cookie=HTTPCookie(name="c")),
        ConsistentHashLB(http_cookie=HTTPCookie(name="d", ttl=timedelta())),
        ConsistentHashLB(use_source_ip=True),
        ConsistentHashLB(use_source_ip=False),
        ConsistentHashLB(http_query_parameter_name="q"),
        ConsistentHashLB(),
    )
    assert [to_dict(item) for item in hash_policies(keys)] == [
        {"header": {"header_name": "x"}},
        {"cookie": {"name": "c", "ttl": "90s", "path": "/p", "attributes": [{"name": "SameSite", "value": "Strict"}]}},
        {"cookie": {"name": "d", "ttl": "0s"}},
        {"connection_properties": {"source_ip": True}},
        {"query_parameter": {"name": "q"}},
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("subsets: [{name: v1, trafficPolicy: {portLevelSettings: [{port: {number: 9080}, loadBalancer: {consistentHash: {httpHeaderName: x-1}}}], loadBalancer: {consistentHash: {httpHeaderName: x-2}}}}]", "x-1"),
        ("subsets: [{name: v1, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-2}}}}], trafficPolicy: {portLevelSettings: [{port: {number: 9080}, loadBalancer: {consistentHash: {httpHeaderName: x-3}}}]}", "x-2"),
        ("subsets: [{name: v1}], trafficPolicy: {portLevelSettings: [{port: {number: 9080}, loadBalancer: {consistentHash: {httpHeaderName: x-3}}}], loadBalancer: {consistentHash: {httpHeaderName: x-4}}}", "x-3"),
        ("subsets: [{name: v1}], trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-4}}}", "x-4"),
        ("subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: RANDOM}}}], trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-4}}}", None),
    ],
)  # fmt: skip
def test_whose_hash_key_holds(spec: str, expected: str | None) -> None:
    """Subset and port, subset, port, rule; as for the cluster, which has to hash by the same."""
    action = _hashed(spec, "  - route: [{destination: {host: a, subset: v1}}]\n")
    assert [item["header"]["header_name"] for item in action.get("hash_policy", [])] == ([expected] if expected else [])


def test_a_service_without_rules_is_hashed_too() -> None:
    """By its DestinationRule; retries then stay with the endpoint that the hash picks."""
    rule = "kind: DestinationRule\nmetadata: {name: b}\nspec: {host: b, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}\n"
    (route,) = routes(only(compiled(documents(SERVICES, rule))), "9080")["b.default.svc.cluster.local:9080"]
    assert route["route"]["hash_policy"] == [{"connection_properties": {"source_ip": True}}]
    assert "retry_host_predicate" not in route["route"]["retry_policy"]


def test_proxies_that_see_another_destination_rule_have_another_hash() -> None:
    """Routes are shared among proxies, but not past the DestinationRules that each sees."""
    texts = [
        f"kind: DestinationRule\nmetadata: {{name: a, namespace: {namespace}}}\nspec: {{host: {HOST}, trafficPolicy: {{loadBalancer: {{consistentHash: {{httpHeaderName: x-{namespace}}}}}}}}}\n"
        for namespace in ("default", "shop")
    ]
    other = (workload("s", app="s", address="10.0.0.9", namespace="shop"), sidecar_proxy("s", "shop"))
    views = compiled(documents(SERVICES, policy("name: x"), *texts, *other)).views
    keys = {
        str(key): routes(view, "9080")[NAME][0]["route"]["hash_policy"][0]["header"]["header_name"]
        for key, view in views.items()
    }
    assert keys == {"default/w": "x-default", "shop/s": "x-shop"}


@given(
    weights=st.lists(st.integers(0, 1000), min_size=2, max_size=5).filter(any),
    data=st.data(),
)
def test_what_one_share_wins_it_keeps(weights: list[int], data: st.DataObject) -> None:
    """If one share grows and no other does, its stretch of the hash grows: at any position, whatever the totals."""
    grower = data.draw(st.integers(0, len(weights) - 1))
    total = sum(weights)
    factor = data.draw(st.sampled_from([1, 10, 100]))
    after = [data.draw(st.integers(0, weight * factor)) if n != grower else 0 for n, weight in enumerate(weights)]
    after[grower] = total * factor - sum(after)
    old, new = _stretch(along_the_hash(weights), grower), _stretch(along_the_hash(after), grower)
    assert not old or (new.start <= old.start and old.stop <= new.stop)


@given(weights=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6).filter(any))
def test_the_total_along_the_hash_is_always_the_same(weights: list[int]) -> None:
    """And each share is what is written, to a millionth."""
    found = along_the_hash(weights)
    assert sum(found) == 1_000_000
    assert all(abs(item - 1_000_000 * weight / sum(weights)) <= 1 for item, weight in zip(found, weights, strict=True))


def _stretch(weights: list[int], position: int) -> range:
    start = sum(weights[:position])
    return range(start, start + weights[position])


# Headers


def _operations(set_: dict[str, str] | None = None, add: dict[str, str] | None = None, *remove: str) -> Headers:
    return Headers(request=HeaderOperations(set=set_ or {}, add=add or {}, remove=remove))


def _filled(*layers: Headers | None) -> dict[str, Any]:
    route = Route()
    fill_headers(route, layers)
    return to_dict(route)


def test_what_is_set_comes_before_what_is_added_each_by_name() -> None:
    """So the order of a map never shows, and Envoy, which does the same, has nothing to rearrange."""
    headers = _filled(_operations({"b": "1", "A": "2"}, {"d": "3", "C": "4"}, "Z", "y"))
    assert headers == {
        "request_headers_to_add": [
            {"header": {"key": "a", "value": "2"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
            {"header": {"key": "b", "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
            {"header": {"key": "c", "value": "4"}},
            {"header": {"key": "d", "value": "3"}},
        ],
        "request_headers_to_remove": ["z", "y"],
    }


def test_later_operations_win() -> None:
    """The share's over the rule's, and within one `remove` over `add` and `set`; names don't differ by case."""
    headers = _filled(
        _operations({"gone": "1", "kept": "1"}, {"more": "1", "twice": "1"}, "back", "gone"),
        _operations({"More": "2", "back": "2"}, {"twice": "2"}, "KEPT"),
    )
    assert headers == {
        "request_headers_to_add": [
            {"header": {"key": "back", "value": "2"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
            {"header": {"key": "more", "value": "2"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
            {"header": {"key": "twice", "value": "1"}},
            {"header": {"key": "twice", "value": "2"}},
        ],
        "request_headers_to_remove": ["back", "gone", "kept"],
    }


def test_host_and_pseudo_headers_are_no_headers() -> None:
    """The host is rewritten instead; Envoy refuses routes that touch the others."""
    assert _filled(_operations({"Host": "x", ":path": "/"}, {":authority": "y"}, "host", ":method")) == {}
    assert _filled(None, None) == {}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, ""),
        (Headers(response=HeaderOperations(set={"host": "x"})), ""),
        (_operations({"HOST": "x"}), "x"),
        (_operations({}, {":authority": "y"}), "y"),
        (_operations({"host": "x"}, {":authority": "y"}), "x"),
    ],
)
def test_the_host_that_headers_ask_for(headers: Headers | None, expected: str) -> None:
    """`set` before `add`, as in Istio."""
    assert authority(headers) == expected


def test_headers_of_a_split_stand_at_its_shares_only_if_one_has_its_own() -> None:
    """Envoy does a share's before the route's, so all of them stand at the shares, in the right order."""
    alike = one(f"  - {{headers: {{request: {{set: {{x: y}}}}}}, {_SPLIT}}}\n")
    assert alike["request_headers_to_add"][0]["header"] == {"key": "x", "value": "y"}
    assert all("request_headers_to_add" not in item for item in alike["route"]["weighted_clusters"]["clusters"])
    route = one("""
  - headers: {request: {set: {x: rule}}}
    route:
    - {destination: {host: a}, weight: 1, headers: {request: {set: {x: share, host: c.com}}}}
    - {destination: {host: b}, weight: 1}
""")
    first, second = route["route"]["weighted_clusters"]["clusters"]
    assert "request_headers_to_add" not in route
    assert first["request_headers_to_add"][0]["header"] == {"key": "x", "value": "share"}
    assert first["host_rewrite_literal"] == "c.com"
    assert second["request_headers_to_add"][0]["header"] == {"key": "x", "value": "rule"}


# Rewrites


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("rewrite: {uri: /y}", {"prefix_rewrite": "/y"}),
        ("rewrite: {authority: b.com}", {"host_rewrite_literal": "b.com"}),
        ('rewrite: {uriRegexRewrite: {match: "^/(a)", rewrite: "/\\\\1"}}', {"regex_rewrite": {"pattern": {"regex": "^/(a)"}, "substitution": r"/\1"}}),
        ("rewrite: {authority: b.com}, headers: {request: {set: {host: c.com}}}", {"host_rewrite_literal": "b.com"}),
        ("headers: {request: {set: {host: c.com}}}", {"host_rewrite_literal": "c.com"}),
    ],
)  # fmt: skip
def test_rewrites(written: str, expected: dict[str, Any]) -> None:
    """Of the path for any kind of match; of the host, where `rewrite` goes before headers."""
    for match in ("{prefix: /x}", "{exact: /x}", "{regex: '/x.*'}"):
        action = one(f"match: [{{uri: {match}}}], {written}")["route"]
        assert {name: action.get(name) for name in expected} == expected
    assert "request_headers_to_add" not in one(written)


def test_the_rules_host_goes_before_a_shares() -> None:
    """Of one destination as of several, as in Istio."""
    share = "route: [{destination: {host: a}, headers: {request: {set: {host: share.com}}}}]"
    assert one(f"  - {{{share}}}\n")["route"]["host_rewrite_literal"] == "share.com"
    assert one(f"  - {{rewrite: {{authority: r.com}}, {share}}}\n")["route"]["host_rewrite_literal"] == "r.com"


# Mirrors


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("mirror: {host: b}", {"numerator": 100}),
        ("mirror: {host: b}, mirrorPercent: 7", {"numerator": 7}),
        ("mirror: {host: b}, mirrorPercentage: {value: 2.3}", {"numerator": 23000, "denominator": "MILLION"}),
        ("mirrors: [{destination: {host: b}}]", {"numerator": 100}),
        ("mirrors: [{destination: {host: b}, percentage: {value: 50}}]", {"numerator": 500_000, "denominator": "MILLION"}),
    ],
)  # fmt: skip
def test_a_mirror_gets_its_share(written: str, expected: dict[str, Any]) -> None:
    """All by default; its cluster is in the view, and copies are no traces of their own."""
    assert one(written)["route"]["request_mirror_policies"] == [
        {
            "cluster": "outbound|9080||b.default.svc.cluster.local",
            "runtime_fraction": {"default_value": expected},
            "trace_sampled": False,
        }
    ]


@pytest.mark.parametrize(
    "written",
    ["mirror: {host: b}, mirrorPercentage: {value: 0}", "mirrors: [{destination: {host: b}, percentage: {value: 0}}]"],
)
def test_a_mirror_that_gets_nothing_is_none(written: str) -> None:
    """Nor is its cluster asked for."""
    assert "request_mirror_policies" not in one(written)["route"]


# Retries


_OTHERS = "envoy.retry_host_predicates.previous_hosts"


def _predicates(action: dict[str, Any]) -> list[str]:
    return [item["name"] for item in action["retry_policy"].get("retry_host_predicate", [])]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("retries: {attempts: 2}", [_OTHERS]),
        ("retries: {attempts: 2, retryIgnorePreviousHosts: true}", [_OTHERS]),
        ("retries: {attempts: 2, retryIgnorePreviousHosts: false}", []),
    ],
)
def test_whether_retries_go_elsewhere(written: str, expected: list[str]) -> None:
    """By default, unless the rule says no."""
    assert _predicates(one(written)["route"]) == expected


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        ("", []),
        ("retries: {attempts: 2}, ", []),
        ("retries: {attempts: 2, retryIgnorePreviousHosts: true}, ", [_OTHERS]),
    ],
)
def test_retries_stay_where_a_hash_sends_them(retries: str, expected: list[str]) -> None:
    """With one hashed destination; a split has other endpoints by default, as in Istio."""
    hashed = "trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}"
    assert _predicates(_hashed(hashed, f"  - {{{retries}route: [{{destination: {{host: a}}}}]}}\n")) == expected
    assert _predicates(_hashed(hashed)) == [_OTHERS]


def test_retries_in_other_localities() -> None:
    """Every second try looks at other priorities, as in Istio."""
    priority = one("retries: {attempts: 2, retryRemoteLocalities: true}")["route"]["retry_policy"]["retry_priority"]
    assert priority["name"] == "envoy.retry_priorities.previous_priorities"
    assert priority["typed_config"]["update_frequency"] == 2
    assert "retry_priority" not in one("retries: {attempts: 2, retryRemoteLocalities: false}")["route"]["retry_policy"]


def test_the_order_of_maps_never_shows() -> None:
    """Headers, parameters and header operations written in another order are the same bytes."""
    one_way = "match: [{headers: {a: {exact: x}, b: {}}, withoutHeaders: {c: {}, d: {}}, queryParams: {e: {}, f: {}}}], headers: {request: {set: {g: 1, h: 2}, add: {i: 1, j: 2}}}"
    other = "headers: {request: {add: {j: 2, i: 1}, set: {h: 2, g: 1}}}, match: [{queryParams: {f: {}, e: {}}, withoutHeaders: {d: {}, c: {}}, headers: {b: {}, a: {exact: x}}}]"
    first, second = (text.replace(": 1", ': "1"').replace(": 2", ': "2"') for text in (one_way, other))
    assert routed(first) == routed(second)
