"""The hosts of one Envoy's clusters, from one answer of its admin endpoint: who is well, and what speaks against the others.

Measured with Envoy 1.40: an answer has 0.7 KB a host, most of it counters that are not read here. At 10,000 hosts it takes Envoy's
main thread 0.1 s and as long again to read, so this is asked when somebody wants to know, and not with every pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from reconciler.envoy.readings import NotAnEnvoyError
from reconciler.model.seen import HostFlag, HostSeen, Told

TARGET = "/clusters?format=json"
"""What to ask Envoy for."""

_NO_FLAGS: frozenset[HostFlag] = frozenset()
_FLAGS: Mapping[str, HostFlag] = MappingProxyType({flag.value: flag for flag in HostFlag})
_TOLD: Mapping[str, Told] = MappingProxyType({told.value: told for told in Told})


def hosts(body: bytes) -> Mapping[str, tuple[HostSeen, ...]]:
    """The hosts of each cluster, in Envoy's order; a cluster without any has none.

    Raises:
        NotAnEnvoyError: The answer is another server's.
        ValueError: It is no JSON; other errors of lookup and type, where the shape is another.
    """
    answer = json.loads(body)
    if not isinstance(answer, dict) or (answer and "cluster_statuses" not in answer):
        raise NotAnEnvoyError("these are not the clusters of an Envoy")
    found = {
        item["name"]: tuple(_host(host) for host in item.get("host_statuses", ()))
        for item in answer.get("cluster_statuses", ())
    }
    return MappingProxyType(found)


def _host(item: Mapping[str, Any]) -> HostSeen:
    address, port = _place(item["address"])
    status = item["health_status"]
    told = status.get("eds_health_status")
    well = told is not None and len(status) == 1
    flags = _NO_FLAGS if well else frozenset(_FLAGS[name] for name in status if name in _FLAGS)
    rate = item.get("success_rate")
    return HostSeen(
        address=address,
        port=port,
        hostname=item.get("hostname", ""),
        flags=flags,
        told=_TOLD[told or Told.UNKNOWN],
        weight=item.get("weight", 1),
        locality=_locality(item.get("locality")),
        priority=item.get("priority", 0),
        success_rate=rate.get("value", 0.0) if rate is not None else None,
    )


def _place(address: Mapping[str, Any]) -> tuple[str, int]:
    socket = address.get("socket_address")
    if socket is not None:
        return socket["address"], socket.get("port_value", 0)
    pipe = address.get("pipe")
    return (pipe["path"], 0) if pipe is not None else (f"internal:{address['envoy_internal_address']}", 0)


def _locality(locality: Mapping[str, str] | None) -> str:
    if not locality:
        return ""
    return "/".join(locality.get(part, "") for part in ("region", "zone", "sub_zone")).rstrip("/")
