"""The traffic policy that holds for one port of a service, or of a subset of it (Istio's `MergeTrafficPolicy`).

Where a policy has settings for the port, they take the place of everything else that it says: of the blocks that they can't
have (tunnel, proxyProtocol, retryBudget) the port then has none. After that a subset's policy overrides the rule's block by block.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.compile.index import Rule
from reconciler.model.trafficpolicy import (
    ClientTLS,
    ConnectionPool,
    LoadBalancer,
    OutlierDetection,
    ProxyProtocol,
    RetryBudget,
    TrafficPolicy,
    Tunnel,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What holds for a cluster; None where nobody says anything."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLS | None = None
    tunnel: Tunnel | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


_NOTHING = Effective()
_BLOCKS = ("load_balancer", "connection_pool", "outlier_detection", "tls", "tunnel", "proxy_protocol", "retry_budget")


def effective(rule: Rule | None, subset: str, port: int) -> Effective:
    """The policy of a cluster; `subset` is "" for the whole service."""
    if rule is None:
        return _NOTHING
    known = rule.subsets.get(subset)
    policies = [
        _of_port(policy, port) for policy in (known.traffic_policy if known else None, rule.traffic_policy) if policy
    ]
    found = {
        name: next((block for item in policies if (block := getattr(item, name)) is not None), None) for name in _BLOCKS
    }
    return Effective(**found)


def _of_port(policy: TrafficPolicy, port: int) -> TrafficPolicy | Effective:
    """A policy as it is for a port: its settings for that port in place of everything, if it has any."""
    settings = next((item for item in policy.port_level_settings if item.port and item.port.number == port), None)
    if settings is None:
        return policy
    return Effective(
        load_balancer=settings.load_balancer,
        connection_pool=settings.connection_pool,
        outlier_detection=settings.outlier_detection,
        tls=settings.tls,
    )
