"""Who calls whom, with the split as policies mean it and as it is measured: the document of `GET /v1/traffic`. Pure but for the sampler's look.

Callers are services where a sidecar belongs to one, and proxies by themselves otherwise, as gateways. An edge is there where requests were counted, or
where a gateway's routes lead: every sidecar may call nearly everything, and what may be says little about what is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.services import Service

if TYPE_CHECKING:
    from reconciler.cli.serving.sampler import Sampled, Sampler
    from reconciler.cycle import Desired, Inventory

_SERVICES, _EDGES, _ROUTES = 500, 1000, 8
_Lead = tuple[str, str, Mapping[str, float]]
"""A route's name, a host that it leads to, and percent by subset; "" is all of the host. Shares of 0 are there too."""


@dataclass(frozen=True, slots=True, order=True)
class Caller:
    """Who calls: `service` by its host, or `proxy` by its name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one commit says, worked out once.

    Attributes:
        desired: The commit.
        services: Those that there are.
        callers: By proxy.
        routes: By caller and host: each route's name, and percent by subset.
    """

    desired: Desired
    services: tuple[Service, ...]
    callers: Mapping[Key, Caller]
    routes: Mapping[tuple[Caller, str], tuple[tuple[str, Mapping[str, float]], ...]]


@dataclass(slots=True)
class _Sum:
    """Requests from one caller to one subset."""

    total: int = 0
    requests: float = 0.0
    errors: float = 0.0
    measured: bool = False
    ports: set[int] = field(default_factory=set)
    proxies: set[Key] = field(default_factory=set)


class Traffic:
    """Makes the document.

    Args:
        inventory: At this instant; None before the first pass has compiled it.
        sampler: Measures while somebody looks.
        now: Wall time, as text.
    """

    def __init__(self, inventory: Callable[[], Inventory | None], sampler: Sampler, now: Callable[[], str]) -> None:
        self._inventory = inventory
        self._sampler = sampler
        self._now = now
        self._drawn: Drawn | None = None

    def traffic(self) -> Mapping[str, Any]:
        """Who calls whom now.

        Raises:
            NotReadyError: No pass has compiled the services yet.
        """
        from reconciler.web import NotReadyError

        found = self._inventory()
        if found is None:
            raise NotReadyError("no pass has read the services yet", hint="ask again in a moment")
        drawn = self._drawn
        if drawn is None or drawn.desired is not found.desired or drawn.services != found.services:
            self._drawn = drawn = draw(found)
        return document(drawn, self._sampler.look(), now=self._now())


def draw(inventory: Inventory) -> Drawn:
    """What does not change from second to second."""
    desired = inventory.desired
    owners = {
        Key(service.namespace, endpoint.workload): service.host
        for service in inventory.services
        for endpoint in service.endpoints
        if endpoint.workload
    }
    workloads = {item.key: item.resolve(item.spec.workload) for item in desired.mesh.proxies if item.spec.workload}
    callers = {}
    for key in desired.views:
        host = owners.get(workloads.get(key, key))
        callers[key] = Caller("service", host) if host is not None and key in workloads else Caller("proxy", str(key))
    routes: dict[tuple[Caller, str], dict[str, Mapping[str, float]]] = {}
    known: dict[str, tuple[_Lead, ...]] = {}  # most proxies have the same routes, and decoding them takes long
    for key, view in sorted(desired.views.items()):
        for item in view.of_type(ResourceType.ROUTE):
            leads = known.get(item.version)
            if leads is None:
                leads = known[item.version] = tuple(_leads(item))
            for route, host, shares in leads:
                if callers[key].kind == "proxy" or any(shares):
                    routes.setdefault((callers[key], host), {}).setdefault(route, shares)
    return Drawn(
        desired=desired,
        services=inventory.services,
        callers=callers,
        routes={place: tuple(list(named.items())[:_ROUTES]) for place, named in routes.items()},
    )


def document(drawn: Drawn, sampled: Sampled, *, now: str) -> dict[str, Any]:
    """The document, of a commit and a measurement."""
    from reconciler.cli.services.inventory import counted

    services = drawn.services
    edges = _edges(drawn, sampled)
    shown = sorted(edges, key=lambda edge: (-sum(item.total for item in edges[edge].values()), edge))[:_EDGES]
    return {
        "schema_version": 1,
        "at": now,
        "commit": drawn.desired.commit,
        "measured": any(rate.requests is not None for rates in sampled.rates.values() for rate in rates.values()),
        "services": [
            {
                "host": item.host,
                "namespace": item.namespace,
                "location": str(item.location),
                "ports": [port.number for port in item.ports],
                **counted(endpoint.health for endpoint in item.endpoints),
            }
            for item in services[:_SERVICES]
        ],
        "edges": [_edge(drawn, place, edges[place]) for place in sorted(shown)],
        "silent": [{"proxy": str(key), "words": words} for key, words in sorted(sampled.silent.items())],
        "left_out": {
            "services": max(0, len(services) - _SERVICES),
            "edges": len(edges) - len(shown),
            "proxies": sampled.left_out,
        },
    }  # fmt: skip


def _edges(drawn: Drawn, sampled: Sampled) -> dict[tuple[Caller, str], dict[str, _Sum]]:
    """What was counted, by caller, host and subset."""
    from reconciler.cli.services.inventory import cluster_of

    hosts = {item.host for item in drawn.services}
    edges: dict[tuple[Caller, str], dict[str, _Sum]] = {
        (caller, host): {} for caller, host in drawn.routes if caller.kind == "proxy" and host in hosts
    }
    for key, rates in sampled.rates.items():
        caller = drawn.callers.get(key)
        for name, rate in rates.items():
            cluster = cluster_of(name)
            if caller is None or cluster is None or cluster[0] not in hosts:
                continue
            sums = edges.setdefault((caller, cluster[0]), {}).setdefault(cluster[2], _Sum())
            sums.total += rate.total
            sums.ports.add(cluster[1])
            sums.proxies.add(key)
            if rate.requests is not None and rate.errors is not None:
                sums.measured = True
                sums.requests += rate.requests
                sums.errors += rate.errors
    return edges


def _edge(drawn: Drawn, place: tuple[Caller, str], sums: Mapping[str, _Sum]) -> dict[str, Any]:
    caller, host = place
    routes = drawn.routes.get(place, ())
    subsets = sorted({*sums, *(subset for _, shares in routes if len(shares) > 1 for subset in shares)})
    requests = sum(item.requests for item in sums.values())
    return {
        "from": {"kind": caller.kind, "name": caller.name},
        "to": host,
        "ports": sorted({port for item in sums.values() for port in item.ports}),
        "proxies": len({key for item in sums.values() for key in item.proxies}),
        "total": sum(item.total for item in sums.values()),
        "requests": _rounded(requests) if any(item.measured for item in sums.values()) else None,
        "errors": _rounded(sum(item.errors for item in sums.values())),
        "subsets": [_subset(subset, sums.get(subset, _Sum()), requests) for subset in subsets],
        "routes": [
            {"route": name, "shares": [{"subset": subset, "percent": percent} for subset, percent in shares.items()]}
            for name, shares in routes
        ],
    }


def _subset(subset: str, item: _Sum, requests: float) -> dict[str, Any]:
    return {
        "subset": subset,
        "total": item.total,
        "requests": _rounded(item.requests) if item.measured else None,
        "errors": _rounded(item.errors),
        "percent": round(100 * item.requests / requests, 2) if item.measured and requests else None,
    }


def _leads(item: Resource) -> Iterator[_Lead]:
    """Where each route leads; nothing of what can't be decoded."""
    from google.protobuf.message import DecodeError

    from reconciler.model import protos

    try:
        config: Any = protos.decode(item)
    except DecodeError:
        return
    for virtual_host in config.virtual_hosts:
        for route in virtual_host.routes:
            kind = route.route.WhichOneof("cluster_specifier") if route.HasField("route") else None
            weights: list[tuple[str, int]] = []
            if kind == "cluster":
                weights = [(route.route.cluster, 1)]
            elif kind == "weighted_clusters":
                weights = [(each.name, each.weight.value) for each in route.route.weighted_clusters.clusters]
            for host, shares in _by_host(weights).items():
                yield route.name or virtual_host.name, host, shares


def _by_host(weights: Sequence[tuple[str, int]]) -> dict[str, dict[str, float]]:
    """Percent by subset, for each host that a route leads to."""
    from reconciler.cli.services.inventory import cluster_of

    total = sum(weight for _, weight in weights)
    found: dict[str, dict[str, float]] = {}
    for name, weight in weights if total else ():
        cluster = cluster_of(name)
        if cluster is not None:
            subsets = found.setdefault(cluster[0], {})
            subsets[cluster[2]] = round(subsets.get(cluster[2], 0.0) + 100 * weight / total, 4)
    return found


def _rounded(value: float) -> float:
    return round(value, 3)
