"""Localities: shares, priorities, and that nothing turns them on without a word."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.compile import Compiled
from reconciler.compile.clusters.localities import Spread, priorities, weights
from reconciler.model.resource import ResourceType
from reconciler.model.services import Endpoint
from tests.compile.meshes import compiled, documents, messages, only, sidecar_proxy
from tests.compile.onecluster import codes, rule

_HOST = "x.example.com"
_PLACES = {
    "10.0.0.1": "eu/a/1",
    "10.0.0.2": "eu/a/2",
    "10.0.0.3": "eu/b/1",
    "10.0.0.4": "us/a/1",
    "10.0.0.5": "asia/a/1",
}
_HERE = "eu/a/1"


def _result(policy: str, *, caller: str = _HERE, labels: str = "{}", endpoints: str = "") -> Compiled:
    listed = endpoints or ", ".join(f"{{address: {address}, locality: {place}}}" for address, place in _PLACES.items())
    return compiled(
        documents(
            f"""
kind: ServiceEntry
metadata: {{name: x}}
spec: {{hosts: [{_HOST}], resolution: STATIC, ports: [{{number: 80, name: http}}], endpoints: [{listed}]}}
""",
            f"""
kind: WorkloadEntry
metadata: {{name: c}}
spec: {{address: 10.0.0.99, locality: "{caller}", labels: {labels}}}
""",
            sidecar_proxy("c"),
            rule(policy, host=_HOST),
        )
    )


def _groups(result: Compiled) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = messages(only(result), ResourceType.ENDPOINTS)[f"outbound|80||{_HOST}"]["endpoints"]
    return found


def _priorities(result: Compiled) -> dict[str, int]:
    """Priority by address."""
    return {
        host["endpoint"]["address"]["socket_address"]["address"]: group.get("priority", 0)
        for group in _groups(result)
        for host in group["lb_endpoints"]
    }


def _weights(result: Compiled) -> dict[str, int]:
    """Weight by locality."""
    return {
        "/".join(group.get("locality", {}).get(part, "") for part in ("region", "zone", "sub_zone")): group[
            "load_balancing_weight"
        ]
        for group in _groups(result)
    }


def _lb(setting: str, *, outliers: bool = True) -> str:
    detection = ", outlierDetection: {maxEjectionPercent: 100}" if outliers else ""
    return f"{{loadBalancer: {{localityLbSetting: {setting}}}{detection}}}"


def test_endpoints_are_in_groups_by_locality_without_weights_or_priorities() -> None:
    """Without outlier detection localities are told and change nothing."""
    result = _result("{}")
    assert set(_priorities(result).values()) == {0}
    assert len(_groups(result)) == 5
    assert all("load_balancing_weight" not in group for group in _groups(result))
    assert _groups(result)[0]["locality"] == {"region": "asia", "zone": "a", "sub_zone": "1"}


def test_the_nearest_endpoints_come_first() -> None:
    """Same sub-zone, same zone, same region, anywhere else: as in Istio, counted without gaps."""
    result = _result(_lb("{enabled: true}"))
    assert _priorities(result) == {"10.0.0.1": 0, "10.0.0.2": 1, "10.0.0.3": 2, "10.0.0.4": 3, "10.0.0.5": 3}
    assert codes(result) == []
    elsewhere = _result(_lb("{enabled: true}"), caller="us/b")
    assert _priorities(elsewhere) == {
        "10.0.0.4": 0,
        **dict.fromkeys(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5"], 1),
    }


def test_failover_names_the_region_that_is_next() -> None:
    """The others come after it."""
    found = _priorities(_result(_lb("{failover: [{from: us, to: eu}, {from: eu, to: asia}]}")))
    assert found == {"10.0.0.1": 0, "10.0.0.2": 1, "10.0.0.3": 2, "10.0.0.5": 3, "10.0.0.4": 4}


@pytest.mark.parametrize(
    "setting",
    [
        _lb("{enabled: false}"),
        _lb("{enabled: false, failover: [{from: eu, to: asia}]}"),
        _lb("{failover: [{from: eu, to: asia}]}", outliers=False),
        _lb("{failoverPriority: [version]}", outliers=False),
    ],
)
def test_priorities_need_outlier_detection_and_can_be_turned_off(setting: str) -> None:
    """Without it Envoy would never leave the first priority for good reason."""
    assert set(_priorities(_result(setting)).values()) == {0}


def test_a_caller_of_unknown_locality_has_no_priorities() -> None:
    """Nothing is near it."""
    assert set(_priorities(_result(_lb("{enabled: true}"), caller="")).values()) == {0}


def test_failover_that_nobody_asked_for_is_said() -> None:
    """Outlier detection alone turns it on, as in Istio; the hint has both ways to say what is meant."""
    result = _result("{outlierDetection: {maxEjectionPercent: 100}}")
    assert len(set(_priorities(result).values())) == 4
    (finding,) = result.findings
    assert (finding.code, finding.severity.value) == ("locality-failover", "warning")
    assert finding.path == ("spec", "trafficPolicy", "outlierDetection")
    assert "enabled: true" in finding.hint
    assert "enabled: false" in finding.hint
    alone = ", ".join(f"{{address: 10.0.0.{n}, locality: us/a}}" for n in (1, 2))
    assert codes(_result("{outlierDetection: {maxEjectionPercent: 100}}", endpoints=alone)) == []


_LABELLED = """
{address: 10.0.0.1, labels: {version: v1, net: n1}, locality: us/a}, {address: 10.0.0.2, labels: {version: v1, net: n2}},
{address: 10.0.0.3, labels: {version: v2, net: n1}}, {address: 10.0.0.4, labels: {version: v2}, locality: eu/a/1}
"""


@pytest.mark.parametrize(
    ("setting", "order"),
    [
        ("{failoverPriority: [version, net]}", {"10.0.0.1": 0, "10.0.0.2": 1, "10.0.0.3": 2, "10.0.0.4": 2}),
        ("{failoverPriority: [version=v2, net]}", {"10.0.0.3": 0, "10.0.0.4": 1, "10.0.0.1": 2, "10.0.0.2": 2}),
        ("{failoverPriority: [unknown]}", dict.fromkeys(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], 0)),
        (
            "{failoverPriority: [topology.kubernetes.io/region]}",
            {"10.0.0.4": 0, "10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 1},
        ),
        (
            "{failoverPriority: [version], failover: [{from: eu, to: us}]}",
            {"10.0.0.1": 0, "10.0.0.2": 1, "10.0.0.4": 2, "10.0.0.3": 3},
        ),
    ],
)
def test_failover_by_labels(setting: str, order: dict[str, int]) -> None:
    """The first label that differs from the caller's counts most; localities come after labels if both are written."""
    result = _result(_lb(setting), labels="{version: v1, net: n1}", endpoints=_LABELLED)
    assert _priorities(result) == order


@pytest.mark.parametrize(
    ("to", "found"),
    [
        ("{eu/a/1: 80, us/a/1: 20}", {"eu/a/1": 80, "us/a/1": 20}),
        ('{"eu/*": 80, us: 20}', {"eu/a/1": 80, "eu/a/2": 80, "eu/b/1": 80, "us/a/1": 60}),
        ('{"eu/a/*": 60, "eu/*": 40}', {"eu/a/1": 30, "eu/a/2": 30, "eu/b/1": 40}),
        ('{"*": 100}', dict.fromkeys(_PLACES.values(), 20)),
        ("{eu/a/1: 100, us: 0}", {"eu/a/1": 100}),
    ],
)
def test_shares_by_locality(to: str, found: dict[str, int]) -> None:
    """A share of several localities is divided exactly (Istio rounds each up); localities without one lose their endpoints."""
    result = _result(_lb(f'{{distribute: [{{from: "eu/*", to: {to}}}]}}', outliers=False))
    assert _weights(result) == found
    message = messages(only(result), ResourceType.CLUSTER)[f"outbound|80||{_HOST}"]
    assert message["common_lb_config"]["locality_weighted_lb_config"] == {}


def test_shares_are_for_the_first_origin_that_fits_and_nobody_else() -> None:
    """Other callers' requests go by the endpoints' weights alone; shares leave no room for priorities."""
    policy = _lb('{distribute: [{from: us, to: {us: 100}}, {from: "us/a/*", to: {eu: 100}}]}')
    assert _weights(_result(policy, caller="us/a/1")) == {"us/a/1": 100}
    here = _result(policy)
    assert len(_groups(here)) == 5
    assert set(_priorities(here).values()) == {0}
    cluster = messages(only(here), ResourceType.CLUSTER)[f"outbound|80||{_HOST}"]
    assert "locality_weighted_lb_config" not in cluster["common_lb_config"]
    anywhere = _lb('{distribute: [{from: "*", to: {us: 100}}]}')
    assert _weights(_result(anywhere, caller="")) == {"us/a/1": 100}


_LOCALITIES = st.builds(
    lambda *parts: "/".join(itertools.takewhile(bool, parts)), *[st.sampled_from(["", "a", "b"]) for _ in range(3)]
)


@given(
    shares=st.lists(
        st.tuples(st.sampled_from(["*", "a", "a/*", "a/b", "b/a/a", "b"]), st.integers(0, 100)), max_size=4
    ),
    sums=st.dictionaries(_LOCALITIES, st.integers(1, 4294967295), max_size=6),
)
def test_shares_keep_their_proportions(shares: list[tuple[str, int]], sums: dict[str, int]) -> None:
    """What the localities of one pattern get together is its share of what all get, whatever their endpoints weigh."""
    spread = Spread(shares=tuple(dict(shares).items()))
    found = weights(spread, sums)
    assert set(found) <= set(sums)
    assert all(weight > 0 for weight in found.values())
    total = sum(found.values())
    only_anywhere = [share for pattern, share in spread.shares if pattern == "*"]
    if found and len(spread.shares) == 1 and only_anywhere:
        weight = sum(sums.values())
        for place, value in found.items():
            assert abs(value / total - sums[place] / weight) < 0.001


@given(
    spread=st.builds(
        Spread,
        labels=st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("12")), max_size=2).map(tuple),
        locality=_LOCALITIES,
        next_region=st.sampled_from(["", "a", "b"]),
    ),
    places=st.lists(st.tuples(_LOCALITIES, st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"))), max_size=6),
)
def test_priorities_have_no_gaps(spread: Spread, places: list[tuple[str, dict[str, str]]]) -> None:
    """Envoy refuses an assignment whose priorities skip a number."""
    endpoints = [Endpoint("10.0.0.1", {}, labels, locality=place) for place, labels in places]
    found = sorted(priorities(spread, endpoints).values())
    assert found == list(range(len(found)))
