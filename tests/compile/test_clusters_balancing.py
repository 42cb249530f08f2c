"""Load balancing: how endpoints are chosen, and how new ones get their share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compile.onecluster import built, cluster


@pytest.mark.parametrize(
    ("balancer", "found"),
    [
        ("{simple: RANDOM}", {"lb_policy": "RANDOM"}),
        ("{simple: ROUND_ROBIN}", {}),  # the enum's zero, which proto3 leaves out
        ("{simple: UNSPECIFIED}", {"lb_policy": "LEAST_REQUEST"}),
        ("{simple: LEAST_CONN}", {"lb_policy": "LEAST_REQUEST"}),
        ("{consistentHash: {useSourceIp: true}}", {"lb_policy": "RING_HASH"}),
        (
            "{consistentHash: {httpHeaderName: x-user, minimumRingSize: 2048}}",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": "2048"}},
        ),
        (
            "{consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 512}}}",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": "512"}},
        ),
        (
            "{consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 1009}}}",
            {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": "1009"}},
        ),
        ("{consistentHash: {httpHeaderName: x-user, maglev: {}}}", {"lb_policy": "MAGLEV"}),
        (
            "{simple: ROUND_ROBIN, warmup: {duration: 1m, minimumPercent: 5, aggression: 1.5}}",
            {
                "round_robin_lb_config": {
                    "slow_start_config": {
                        "slow_start_window": "60s",
                        "min_weight_percent": {"value": 5.0},
                        "aggression": {"default_value": 1.5, "runtime_key": "upstream.warmup.aggression"},
                    }
                }
            },
        ),
        (
            "{warmup: {duration: 1m, aggression: 1}}",
            {
                "lb_policy": "LEAST_REQUEST",
                "least_request_lb_config": {"slow_start_config": {"slow_start_window": "60s"}},
            },
        ),
        (
            "{warmupDurationSecs: 30s}",
            {
                "lb_policy": "LEAST_REQUEST",
                "least_request_lb_config": {"slow_start_config": {"slow_start_window": "30s"}},
            },
        ),
    ],
)
def test_how_endpoints_are_chosen(balancer: str, found: dict[str, Any]) -> None:
    """Each of Istio's choices, and its sizes and windows where they are written."""
    message = cluster(built(f"{{loadBalancer: {balancer}}}"))
    assert {name: message[name] for name in message if "lb_" in name} == found


def test_a_policy_goes_before_the_templates_own_form() -> None:
    """Envoy would ignore `lb_policy` beside a template's `load_balancing_policy`."""
    text = "load_balancing_policy: {policies: [{typed_extension_config: {name: envoy.load_balancing_policies.random}}]}"
    found = cluster(built("{loadBalancer: {simple: LEAST_REQUEST}}", cluster=text))
    assert "load_balancing_policy" not in found
    assert found["lb_policy"] == "LEAST_REQUEST"
    assert "load_balancing_policy" in cluster(built("{loadBalancer: {simple: UNSPECIFIED}}", cluster=text))


@pytest.mark.parametrize("balancer", ["simple: RANDOM", "consistentHash: {useSourceIp: true}"])
def test_nothing_warms_up_where_endpoints_are_not_counted(balancer: str) -> None:
    """Envoy has no slow start for other policies; validation says so."""
    message = cluster(built(f"{{loadBalancer: {{{balancer}, warmup: {{duration: 1m}}}}}}"))
    assert not [name for name in message if name.endswith("_lb_config")]
