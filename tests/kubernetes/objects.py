"""Objects as a cluster has them, written shortly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.kubernetes.store import Object


def service(name: str = "reviews", namespace: str = "default", **spec: Any) -> Object:
    """A Service: with a selector and one HTTP port, unless `spec` says otherwise."""
    given = {
        "type": "ClusterIP",
        "clusterIP": "10.96.0.10",
        "clusterIPs": ["10.96.0.10"],
        "ipFamilies": ["IPv4"],
        "selector": {"app": name},
        "ports": [{"name": "http", "port": 9080, "targetPort": 8080, "protocol": "TCP"}],
    }
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": given | spec,
        "status": {"loadBalancer": {}},
    }


def pod(name: str, namespace: str = "default", *, node: str = "", account: str = "default", **labels: str) -> Object:
    """A Pod, with a good deal of what nobody reads."""
    container = {"name": "app", "image": "app:1", "env": [{"name": f"E{index}", "value": "x"} for index in range(5)]}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"serviceAccountName": account, "nodeName": node, "containers": [container]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def node(name: str, **labels: str) -> Object:
    """A Node; `region`, `zone` and `subzone` become its labels."""
    prefix = {"region": "topology.kubernetes.io/", "zone": "topology.kubernetes.io/", "subzone": "topology.istio.io/"}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {f"{prefix[key]}{key}": value for key, value in labels.items()}},
        "status": {"images": [{"names": ["a"]}]},
    }


def endpoint(
    address: str,
    *,
    pod: str = "",
    node: str = "",
    zone: str = "",
    namespace: str = "default",
    conditions: Mapping[str, bool | None] | None = None,
) -> Object:
    """An endpoint of a slice; ready by default."""
    item: Object = {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False}
        if conditions is None
        else dict(conditions),
    }
    if pod:
        item["targetRef"] = {"kind": "Pod", "name": pod, "namespace": namespace, "uid": f"uid-of-{pod}"}
    if node:
        item["nodeName"] = node
    if zone:
        item["zone"] = zone
    return item


def endpoint_slice(
    name: str,
    endpoints: Sequence[Mapping[str, Any]],
    *,
    service: str = "reviews",
    namespace: str = "default",
    family: str = "IPv4",
    ports: Sequence[Mapping[str, Any]] = ({"name": "http", "port": 8080, "protocol": "TCP"},),
) -> Object:
    """An EndpointSlice of a Service."""
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": list(ports),
    }
