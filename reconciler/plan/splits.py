"""How routes share out their traffic, in percent: what guards judge and what people read first in a plan.

Read from route configurations and, on proxies that someone else configures, from runtime keys of one prefix.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from reconciler.model import protos
from reconciler.model.plan import Change
from reconciler.model.resource import Resource, ResourceType, View
from reconciler.plan.identity import cluster_labels, match_text, short_host

_CONFIG = re.compile(r"/apis/networking\.istio\.io/[^/]+/namespaces/[^/]+/virtual-service/(.+)\Z")
_TOTALS = frozenset({100, 1_000, 10_000, 100_000})


@dataclass(frozen=True, slots=True)
class Split:
    """How one route shares out its traffic. Equal splits send equal shares on the same route.

    Attributes:
        route_config: Name of the RouteConfiguration; "" for runtime keys.
        virtual_host: Its name; "" for runtime keys.
        route: Its name, or what it matches if it has none; for runtime keys, their prefix.
        shares: Percent by cluster name, sorted, without zeros. They add up to 100.
        match: What the route matches, to tell routes of one name apart.
        service: What people call it: the VirtualService's name, else the virtual host's short name.
    """

    route_config: str
    virtual_host: str
    route: str
    shares: tuple[tuple[str, float], ...]
    match: str = field(default="", compare=False)
    service: str = field(default="", compare=False)

    def share(self, cluster: str) -> float:
        """Percent that a cluster gets; 0 if it isn't named."""
        return dict(self.shares).get(cluster, 0.0)


@dataclass(frozen=True, slots=True)
class Move:
    """One destination whose share changes on a route that stays.

    Attributes:
        before: Percent.
        after: Percent.
        destination: The subset where that says enough, else the cluster.
    """

    service: str
    route: str
    destination: str
    before: float
    after: float


def splits(view: View, *, prefixes: Collection[str] = ()) -> tuple[Split, ...]:
    """All splits of a view, in the order of its resources; a route with a single cluster gives it 100%.

    Args:
        view: The view to read.
        prefixes: The runtime prefixes of this proxy's mapping, where they are known (see `runtime_prefix`).
    """
    found = [split for item in view.of_type(ResourceType.ROUTE) for split in route_splits(item)]
    values = {item.id.name: item for item in view.of_type(ResourceType.RUNTIME)}
    return (*found, *runtime_splits(values, prefixes=prefixes))


def route_splits(item: Resource) -> tuple[Split, ...]:
    """The splits of one RouteConfiguration; none if it can't be decoded."""
    try:
        config: Any = protos.decode(item)
    except DecodeError:
        return ()
    return tuple(
        split
        for host in config.virtual_hosts
        for route in host.routes
        if (split := _route_split(config.name, host.name, route))
    )


def _route_split(config: str, host: str, route: Any) -> Split | None:
    kind = route.route.WhichOneof("cluster_specifier") if route.HasField("route") else None
    weights: dict[str, int] = {}
    if kind == "cluster":
        weights[route.route.cluster] = 1
    elif kind == "weighted_clusters":
        for cluster in route.route.weighted_clusters.clusters:
            weights[cluster.name] = weights.get(cluster.name, 0) + cluster.weight.value
    if not any(weights.values()):
        return None
    match = match_text(protos.to_dict(route.match))
    return Split(config, host, route.name or match, _shares(weights), match, _service(route) or short_host(host))


def _service(route: Any) -> str:
    if "istio" not in route.metadata.filter_metadata:
        return ""
    fields = route.metadata.filter_metadata["istio"].fields
    found = _CONFIG.match(fields["config"].string_value) if "config" in fields else None
    return found[1] if found else ""


def _shares(weights: Mapping[str, int]) -> tuple[tuple[str, float], ...]:
    total = sum(weights.values())
    # One correctly rounded division: equal fractions give equal floats, whatever the total.
    return tuple((name, 100 * weight / total) for name, weight in sorted(weights.items()) if weight)


def runtime_prefix(key: str, prefixes: Collection[str] = ()) -> str:
    """The split that a runtime key belongs to; a key is `<prefix>.<cluster>`.

    The longest given prefix that fits. Without one, the cluster is what follows the last dot, or, for a cluster named as
    Istio names them, the last dot before its first bar.
    """
    fitting = [prefix for prefix in prefixes if key.startswith(f"{prefix}.")]
    if fitting:
        return max(fitting, key=len)
    return key.partition("|")[0].rpartition(".")[0] or key


def runtime_splits(values: Mapping[str, Resource], *, prefixes: Collection[str] = ()) -> tuple[Split, ...]:
    """The splits that runtime keys form, by prefix; keys whose value is no number are left out."""
    weights: dict[str, dict[str, int]] = {}
    for name, item in values.items():
        if item.body.isdigit():
            prefix = runtime_prefix(name, prefixes)
            weights.setdefault(prefix, {})[name.removeprefix(f"{prefix}.")] = int(item.body)
    return tuple(
        Split("", "", prefix, _shares(found), "", prefix.rpartition(".")[2])
        for prefix, found in sorted(weights.items())
        if any(found.values())
    )


def pair(old: Sequence[Split], new: Sequence[Split]) -> Iterator[tuple[Split | None, Split]]:
    """Each new split with what its route did before, or None for a route that is new.

    A route is the same if its virtual host, name and match are; else if its name is; else if its match is, so that a
    rename doesn't make a route new. Of several candidates, the least share of each cluster counts.
    """
    by_host: dict[str, list[Split]] = {}
    for item in old:
        by_host.setdefault(item.virtual_host, []).append(item)
    for split in new:
        candidates = by_host.get(split.virtual_host, [])
        same = (
            [item for item in candidates if item.route == split.route and item.match == split.match]
            or [item for item in candidates if item.route == split.route]
            or [item for item in candidates if item.match == split.match]
        )
        yield _least(same), split


def _least(same: Sequence[Split]) -> Split | None:
    if len(same) < 2:  # noqa: PLR2004 -- nothing to combine
        return same[0] if same else None
    names = sorted({name for item in same for name, _ in item.shares})
    shares = tuple((name, min(item.share(name) for item in same)) for name in names)
    first = same[0]
    return Split(first.route_config, first.virtual_host, first.route, shares, first.match, first.service)


def labels(old: Split | None, new: Split) -> dict[str, str]:
    """What the clusters of a split are called for people."""
    return cluster_labels(name for split in (old, new) if split is not None for name, _ in split.shares)


def moves(changes: Iterable[Change]) -> tuple[Move, ...]:
    """The shares that one proxy's changes move, on routes that were there before and stay.

    Runtime keys that don't change are not among the changes, so shares of runtime keys are known only if the changed ones
    add up to one usual total (100, 1,000, ...) before and after; others are left out.
    """
    updates = [change for change in changes if change.old is not None and change.new is not None]
    found: list[Move] = []
    for change in updates:
        if change.id.type is ResourceType.ROUTE and change.old is not None and change.new is not None:
            found.extend(_moves(pair(route_splits(change.old), route_splits(change.new))))
    keys = [change for change in updates if change.id.type is ResourceType.RUNTIME]
    old = {change.id.name: change.old for change in keys if change.old is not None}
    new = {change.id.name: change.new for change in keys if change.new is not None}
    known = [item for item in runtime_splits(old) if _total(old, item) and _total(old, item) == _total(new, item)]
    routes = {item.route for item in known}
    found.extend(_moves(pair(known, [item for item in runtime_splits(new) if item.route in routes])))
    return tuple(found)


def _total(values: Mapping[str, Resource], split: Split) -> int:
    """The sum of a prefix's values if it is a usual total, else 0."""
    total = sum(
        int(item.body) for name, item in values.items() if runtime_prefix(name) == split.route and item.body.isdigit()
    )
    return total if total in _TOTALS else 0


def _moves(pairs: Iterable[tuple[Split | None, Split]]) -> Iterator[Move]:
    for old, new in pairs:
        if old is None or old.shares == new.shares:
            continue
        names = labels(old, new)
        for cluster in sorted(names):
            before, after = old.share(cluster), new.share(cluster)
            if before != after:
                yield Move(new.service, new.route, names[cluster], before, after)
