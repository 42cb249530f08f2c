"""How callers see the instances of services, put into the document of services. Pure.

Platforms say what instances are there and how they are; only an Envoy says whether it has them, and what it has against them. The
two are laid side by side here: an instance that a caller does not have yet, one that it still has, one that it has ejected.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.cli.services.inventory import cluster_of
from reconciler.model.key import Key
from reconciler.model.seen import HostsSeen, Sight, Trouble

_SOCKET = "unix://"

_Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Clusters:
    """One port of a service, as its callers see it: what their clusters have, by address and port.

    Attributes:
        asked: How many of its callers answered.
        whole: How many of those should have all instances.
        everything: In the clusters of all instances.
        some: In those of subsets.
    """

    asked: int
    whole: int
    everything: Mapping[_Address, list[Sight]]
    some: Mapping[_Address, list[Sight]]

    def at(self, place: _Address) -> list[Sight]:
        return [*self.everything.get(place, ()), *self.some.get(place, ())]


def with_sight(document: Mapping[str, Any], seen: HostsSeen) -> dict[str, Any]:
    """The document with what callers say.

    Args:
        document: What `inventory_document` made.
        seen: What proxies said that could be asked.
    """
    hosts = _by_service(seen)
    answered = frozenset(map(str, seen.answered))
    return {
        **document,
        "health": {
            "answered": len(seen.answered),
            "silent": [
                {"proxy": str(key), "code": found.code, "reason": found.message}
                for key, found in sorted(seen.silent.items())
            ],
        },
        "services": [_service(item, hosts, answered) for item in document["services"]],
    }


def asked(document: Mapping[str, Any], proxy: str = "") -> dict[Key, str]:
    """The admin endpoints of the proxies that may call one of the services, by proxy.

    Args:
        document: With the services that matter.
        proxy: Only this one's; "" for all.
    """
    calling = {name for item in document["services"] for name in item["callers"]["proxies"]}
    return {
        Key.parse(item["proxy"]): item["admin"]
        for item in document["proxies"]
        if item["admin"] and item["proxy"] in calling and (not proxy or Key.parse(item["proxy"]) == Key.parse(proxy))
    }


_Hosts = Mapping[tuple[str, int, bool], Mapping[_Address, list[Sight]]]
"""By host and port of a service, and whether it is the cluster of all instances."""


def _by_service(seen: HostsSeen) -> _Hosts:
    found: dict[tuple[str, int, bool], dict[_Address, list[Sight]]] = {}
    for (cluster, address, port), sight in seen.hosts.items():
        reference = cluster_of(cluster)
        if reference is not None:
            host, number, subset = reference
            places = found.setdefault((host, number, not subset), {})
            places.setdefault((_plain(address), port), []).append(sight)
    return found


def _plain(address: str) -> str:
    """One text for all spellings of one address, as Envoy may write it otherwise than Git does."""
    if address.startswith(_SOCKET):
        return address.removeprefix(_SOCKET)
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _service(item: Mapping[str, Any], hosts: _Hosts, answered: frozenset[str]) -> dict[str, Any]:
    clusters = {port["number"]: _clusters(item, port, hosts, answered) for port in item["ports"]}
    named = item["resolution"] != "STATIC"  # its instances are names: callers have what they look up
    endpoints = [
        {**endpoint, "seen": None if named else _seen(item, endpoint, clusters)} for endpoint in item["endpoints"]
    ]
    asked = len(answered.intersection(item["callers"]["proxies"]))
    return {
        **item,
        "callers": {**item["callers"], "answered": asked},
        "endpoints": endpoints,
        "others": [*_others(item, clusters)],
    }


def _clusters(item: Mapping[str, Any], port: Mapping[str, Any], hosts: _Hosts, answered: frozenset[str]) -> _Clusters:
    callers = item["callers"]["proxies"] if port["callers"] is None else port["callers"]
    whole = callers if port["whole"] is None else port["whole"]
    place = item["host"], port["number"]
    return _Clusters(
        asked=len(answered.intersection(callers)),
        whole=len(answered.intersection(whole)),
        everything=hosts.get((*place, True), {}),
        some=hosts.get((*place, False), {}),
    )


def _seen(
    item: Mapping[str, Any], endpoint: Mapping[str, Any], clusters: Mapping[int, _Clusters]
) -> dict[str, Any] | None:
    """One instance as callers see it: of several ports and subsets, the one at which it stands worst.

    Who has clusters of subsets only need not have it at all, so that only those with the cluster of all instances can lack it.
    """
    callers, having, lacking, troubles = 0, 0, 0, dict[Trouble, int]()
    for port, place in _places(item, endpoint):
        cluster = clusters[port]
        if cluster.asked:
            sights = cluster.at(place)
            whole = max((sight.proxies for sight in cluster.everything.get(place, ())), default=0)
            lacking = max(lacking, cluster.whole - whole)
            having = max(having, *(sight.proxies for sight in sights), 0)
            callers = max(callers, cluster.asked)
            _add(troubles, sights)
    return {"callers": callers, "having": having, "lacking": lacking, "troubles": _named(troubles)} if callers else None


def _places(item: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Iterator[tuple[int, tuple[str, int]]]:
    address = _plain(endpoint["address"])
    for port in item["ports"]:
        target = endpoint["ports"].get(port["name"])
        if target is not None:
            yield port["number"], (address, 0 if endpoint["address"].startswith(_SOCKET) else target)


def _others(item: Mapping[str, Any], clusters: Mapping[int, _Clusters]) -> Iterator[dict[str, Any]]:
    """What callers have, and what nobody lists: what has left and is not forgotten yet, or what a name was resolved to."""
    known = {place for endpoint in item["endpoints"] for place in _places(item, endpoint)}
    for port, cluster in clusters.items():
        for place in sorted({*cluster.everything, *cluster.some}):
            if (port, place) not in known:
                sights, troubles = cluster.at(place), dict[Trouble, int]()
                _add(troubles, sights)
                yield {
                    "address": place[0],
                    "port": place[1],
                    "callers": cluster.asked,
                    "having": max(sight.proxies for sight in sights),
                    "troubles": _named(troubles),
                }


def _add(troubles: dict[Trouble, int], sights: Iterable[Sight]) -> None:
    for sight in sights:
        for trouble, count in sight.troubles.items():
            troubles[trouble] = max(troubles.get(trouble, 0), count)


def _named(troubles: Mapping[Trouble, int]) -> dict[str, int]:
    return {str(trouble): troubles[trouble] for trouble in Trouble if trouble in troubles}
