"""What a bootstrap says for metrics: whose counts these are, and the listener at which they are scraped.

How names of stats become labels is `bootstrap.yaml`'s; who reads stats by name (`envoy.counters`, `envoy.readings`) is not concerned.
"""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3.base_pb2 import TrafficDirection

from reconciler.compile.bootstrap_tls import facing
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.telemetry import Metrics

LISTENER_NAME = "reconciler-metrics"


def labels(proxy: Policy[Proxy]) -> dict[str, str]:
    """Whose metrics these are, by Prometheus label: in every series of the proxy, and at its target.

    A gateway's workload is the proxy itself, as in `node.cluster`.
    """
    return {
        "proxy": proxy.key.name,
        "namespace": proxy.key.namespace,
        "workload": proxy.spec.workload or proxy.key.name,
    }


def fill_tags(message: Any, proxy: Policy[Proxy]) -> None:
    """Give every stat the proxy's labels, unless the template has tags of these names: Envoy takes none twice."""
    there = {tag.tag_name for tag in message.stats_config.stats_tags}
    for name, value in labels(proxy).items():
        if name not in there:
            message.stats_config.stats_tags.add(tag_name=name, fixed_value=value)


def fill_metrics_listener(listener: Any, metrics: Metrics, *, folder: str) -> None:
    """Write name, address and TLS into a copy of `listener-metrics.yaml`."""
    listener.name = LISTENER_NAME
    listener.traffic_direction = TrafficDirection.INBOUND
    listener.address.socket_address.address = metrics.address
    listener.address.socket_address.port_value = metrics.port
    if metrics.mutual_tls:
        for chain in listener.filter_chains:
            chain.transport_socket.CopyFrom(facing((), folder))
