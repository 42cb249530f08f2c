"""How Envoy chooses among endpoints: `loadBalancer.simple`, `consistentHash` and `warmup`.

What is hashed is said by routes and TCP proxies; here only the table in which the hash is looked up.
"""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from reconciler.model.trafficpolicy import ConsistentHashLB, LoadBalancer, SimpleLB, Warmup

_POLICIES = {
    SimpleLB.LEAST_CONN: Cluster.LEAST_REQUEST,
    SimpleLB.LEAST_REQUEST: Cluster.LEAST_REQUEST,
    SimpleLB.ROUND_ROBIN: Cluster.ROUND_ROBIN,
    SimpleLB.RANDOM: Cluster.RANDOM,
}
_WARMING = {Cluster.LEAST_REQUEST: "least_request_lb_config", Cluster.ROUND_ROBIN: "round_robin_lb_config"}
_AGGRESSION = "upstream.warmup.aggression"
"""Envoy wants a runtime key beside the value; nobody sets it."""
_EVENLY = 1.0


def balance(message: Any, balancer: LoadBalancer | None, *, shares: bool) -> None:
    """Set a cluster's load balancing; what the policy leaves open stays as the template has it.

    Args:
        message: The cluster.
        balancer: What the policy says.
        shares: Whether localities have weights of their own.
    """
    if shares:
        message.common_lb_config.locality_weighted_lb_config.SetInParent()
    if balancer is None:
        return
    policy = _policy(balancer)
    if policy is not None:
        message.ClearField("load_balancing_policy")
        message.lb_policy = policy
    if balancer.consistent_hash is not None:
        _hash(message, balancer.consistent_hash)
    warmup = _warmup(balancer)
    if warmup is not None and message.lb_policy in _WARMING:
        _slow_start(getattr(message, _WARMING[message.lb_policy]).slow_start_config, warmup)


def leave_to_cluster(message: Any) -> None:
    """Nothing is chosen: the cluster itself knows the one place where a request goes."""
    message.lb_policy = Cluster.CLUSTER_PROVIDED
    message.ClearField("load_balancing_policy")
    chosen = message.WhichOneof("lb_config")
    if chosen is not None:
        message.ClearField(chosen)


def _policy(balancer: LoadBalancer) -> Any:
    """An `LbPolicy`, or None for the template's."""
    if balancer.consistent_hash is not None:
        return Cluster.MAGLEV if balancer.consistent_hash.maglev is not None else Cluster.RING_HASH
    return _POLICIES.get(balancer.simple) if balancer.simple else None


def _hash(message: Any, settings: ConsistentHashLB) -> None:
    if settings.maglev is not None:
        if settings.maglev.table_size:
            message.maglev_lb_config.table_size.value = settings.maglev.table_size
        return
    size = settings.ring_hash.minimum_ring_size if settings.ring_hash else settings.minimum_ring_size
    if size:
        message.ring_hash_lb_config.minimum_ring_size.value = size


def _warmup(balancer: LoadBalancer) -> Warmup | None:
    if balancer.warmup is not None:
        return balancer.warmup
    older = balancer.warmup_duration_secs
    return Warmup(duration=older) if older is not None else None


def _slow_start(config: Any, warmup: Warmup) -> None:
    config.slow_start_window.FromTimedelta(warmup.duration)
    if warmup.minimum_percent is not None:
        config.min_weight_percent.value = warmup.minimum_percent
    if warmup.aggression not in (None, _EVENLY):
        config.aggression.default_value = warmup.aggression
        config.aggression.runtime_key = _AGGRESSION
