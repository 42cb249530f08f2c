"""TCP proxies: one or several clusters, and what the traffic policies of their services say of connections (`networkfilter.go`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.type.v3.hash_policy_pb2 import HashPolicy

from reconciler.compile.effective import Effective, effective
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.viewer import Viewer
from reconciler.model.trafficpolicy import Tunnel

Share = tuple[ClusterRef, int]
"""A cluster and its weight."""


def proxy_to(index: Index, shares: Sequence[Share], viewer: Viewer, *, stat_prefix: str = "") -> TcpProxy:
    """A TCP proxy to some clusters, with what the traffic policies of its destinations say of connections.

    Envoy takes no weight of 0, so such a share is left out. Of several destinations the first that says anything of a timeout
    decides, a source address is hashed if any wants it, and a tunnel is the first one's as a whole, as in Istio: a proxy has
    one of each.

    Args:
        index: The mesh.
        shares: At least one; a single one gets everything, whatever its weight.
        viewer: Whose listener it is.
        stat_prefix: The cluster's name by default.
    """
    refs = [ref for ref, _ in shares]
    policies = [effective(index.rule(ref.host, viewer), ref.subset, ref.port) for ref in refs]
    message = TcpProxy(stat_prefix=stat_prefix or refs[0].name)
    if len(refs) == 1:
        message.cluster = refs[0].name
        tunnel = policies[0].tunnel
    else:
        for ref, weight in shares:
            if weight:
                message.weighted_clusters.clusters.add(name=ref.name, weight=weight)
        tunnel = effective(index.rule(refs[0].host, viewer), "", refs[0].port).tunnel
    _limit(message, policies)
    if any(_hashes_source(policy) for policy in policies):
        message.hash_policy.add().source_ip.CopyFrom(HashPolicy.SourceIp())
    if tunnel is not None:
        _tunnel(message, tunnel)
    return message


def _limit(message: TcpProxy, policies: Iterable[Effective]) -> None:
    pools = [item.connection_pool.tcp for item in policies if item.connection_pool and item.connection_pool.tcp]
    idle = next((pool.idle_timeout for pool in pools if pool.idle_timeout is not None), None)
    age = next((pool.max_connection_duration for pool in pools if pool.max_connection_duration is not None), None)
    if idle is not None:
        message.idle_timeout.FromTimedelta(idle)
    if age is not None:
        message.max_downstream_connection_duration.FromTimedelta(age)


def _hashes_source(policy: Effective) -> bool:
    hashing = policy.load_balancer.consistent_hash if policy.load_balancer else None
    return bool(hashing and hashing.use_source_ip)


def _tunnel(message: TcpProxy, tunnel: Tunnel) -> None:
    host = f"[{tunnel.target_host}]" if ":" in tunnel.target_host else tunnel.target_host
    message.tunneling_config.hostname = f"{host}:{tunnel.target_port}"
    message.tunneling_config.use_post = tunnel.protocol.upper() == "POST"
