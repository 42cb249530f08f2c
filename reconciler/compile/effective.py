"""The traffic policy that holds for one port of a service, or of a subset of it (Istio's `MergeSubsetTrafficPolicy`).

Where a policy has settings for the port, they take the place of everything else that it says: of the blocks that they can't
have (tunnel, proxyProtocol, retryBudget) the port then has none. After that a subset's policy overrides the rule's block by block;
and where the subset has settings for the port, the blocks that they could have and have not are the defaults, not the rule's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.compile.index import Rule
from reconciler.model.trafficpolicy import (
    ClientTLS,
    ConnectionPool,
    LoadBalancer,
    OutlierDetection,
    PortTrafficPolicy,
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
_OF_PORTS = ("load_balancer", "connection_pool", "outlier_detection", "tls")
_BLOCKS = (*_OF_PORTS, "tunnel", "proxy_protocol", "retry_budget")


def effective(rule: Rule | None, subset: str, port: int) -> Effective:
    """The policy of a cluster; `subset` is "" for the whole service."""
    if rule is None:
        return _NOTHING
    known = rule.subsets.get(subset)
    own = known.traffic_policy if known else None
    policies = [_of_port(policy, port) for policy in (own, rule.traffic_policy) if policy]
    final = _OF_PORTS if own is not None and _settings(own, port) is not None else ()
    return Effective(**{name: _first(policies[:1] if name in final else policies, name) for name in _BLOCKS})


def _first(policies: Sequence[TrafficPolicy | Effective], name: str) -> Any:
    return next((block for policy in policies if (block := getattr(policy, name)) is not None), None)


def _settings(policy: TrafficPolicy, port: int) -> PortTrafficPolicy | None:
    return next((item for item in policy.port_level_settings if item.port and item.port.number == port), None)


def _of_port(policy: TrafficPolicy, port: int) -> TrafficPolicy | Effective:
    """A policy as it is for a port: its settings for that port in place of everything, if it has any."""
    settings = _settings(policy, port)
    if settings is None:
        return policy
    return Effective(**{name: getattr(settings, name) for name in _OF_PORTS})
