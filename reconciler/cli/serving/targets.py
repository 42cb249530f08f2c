"""The fleet for Prometheus: where each proxy serves its metrics, by what Git, the proxies and their streams say."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reconciler.model.hosts import is_address
from reconciler.model.key import Key

if TYPE_CHECKING:
    from reconciler.cycle import Inventory
    from reconciler.model.mesh import Mesh, Policy
    from reconciler.model.proxy import Proxy
    from reconciler.model.serviceentry import WorkloadEntry
    from reconciler.web.routes.targets import Listed
    from reconciler.xds import NodeState

PATH = "/stats/prometheus"


class FleetTargets:
    """Lists the proxies of the commit that is applied, declared and announced.

    Args:
        inventory: What the last pass knew; None before the first.
        connections: The proxies' streams, which show where an announced proxy is.
    """

    def __init__(
        self,
        *,
        inventory: Callable[[], Inventory | None],
        connections: Callable[[], Mapping[Key, NodeState]],
    ) -> None:
        self._inventory = inventory
        self._connections = connections

    def targets(self) -> Listed:
        """Each proxy that serves metrics, with its labels, sorted by key.

        Raises:
            NotReadyError: No pass has read the fleet yet.
        """
        from reconciler.web import NotReadyError
        from reconciler.web.routes.targets import Listed

        found = self._inventory()
        if found is None:
            raise NotReadyError("no pass has read the fleet yet", hint="ask again in a moment, or see the daemon's log")
        mesh = found.desired.mesh
        workloads = {policy.key: policy for policy in mesh.workload_entries}
        connections = self._connections()
        groups = []
        for proxy in mesh.proxies:
            workload = workloads.get(Key(proxy.key.namespace, proxy.spec.workload))
            group = _group(proxy, workload, mesh, connections.get(proxy.key))
            if group is not None:
                groups.append(group)
        return Listed(groups=groups, left_out=len(mesh.proxies) - len(groups))


def _group(
    proxy: Policy[Proxy], workload: Policy[WorkloadEntry] | None, mesh: Mesh, node: NodeState | None
) -> dict[str, Any] | None:
    metrics = proxy.spec.metrics or mesh.settings.telemetry.metrics
    if metrics is None or not proxy.spec.push.whole:
        return None
    host = metrics.address
    if ipaddress.ip_address(host).is_unspecified:
        host = _host(proxy, workload, node)
    if not host:
        return None
    place = f"[{host}]" if ":" in host else host
    return {
        "targets": [f"{place}:{metrics.port}"],
        "labels": {
            "__metrics_path__": PATH,
            "__scheme__": "https" if metrics.mutual_tls else "http",
            **_labels(proxy, workload),
        },
    }


def _labels(proxy: Policy[Proxy], workload: Policy[WorkloadEntry] | None) -> dict[str, str]:
    """What the proxy's own series say too, and what only the mesh knows of it. Without empty ones."""
    from reconciler.compile import metrics_labels

    own = workload.spec.labels if workload is not None else {}
    more = {name: own[name] for name in ("app", "version") if own.get(name)}
    return {**metrics_labels(proxy), "gateway": "false" if proxy.spec.workload else "true", **more}


def _host(proxy: Policy[Proxy], workload: Policy[WorkloadEntry] | None, node: NodeState | None) -> str:
    """Where a proxy is that serves its metrics on every address of its host; "" if nobody says.

    Its workload's address, the host in its admin address, or where its stream comes from.
    """
    if workload is not None and is_address(workload.spec.address):
        return workload.spec.address
    if proxy.spec.admin.startswith(("http://", "https://")):
        return urlsplit(proxy.spec.admin).hostname or ""
    host = node.peer.rpartition(":")[0].strip("[]") if node is not None else ""
    return host if is_address(host) else ""
