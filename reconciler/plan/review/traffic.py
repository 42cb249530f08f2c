"""What a plan does to traffic, route by route: which requests go elsewhere, on which proxies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reconciler.model.plan import Change, Plan, ProxyPlan
from reconciler.model.resource import Resource, ResourceType
from reconciler.plan.review.values import RouteChange, Share
from reconciler.plan.splits import Split, labels, moves, pair, route_splits

_PORT = re.compile(r":\d+\Z")
_Seen = tuple[str, str, str, str, tuple[Share, ...]]


def route_changes(plan: Plan) -> tuple[RouteChange, ...]:
    """Every route whose traffic goes elsewhere, that is new or that goes, with its proxies.

    Those that go are first, since their requests end; then the largest moves. A table that is cut loses what matters least.

    Routes of a proxy that has nothing yet are left out: it is the proxy that is new.
    """
    known: dict[tuple[str, str], tuple[_Seen, ...]] = {}
    found: dict[_Seen, dict[str, None]] = {}
    for proxy in plan.proxies:
        for seen in _of(proxy, known):
            found.setdefault(seen, {})[proxy.proxy.short()] = None
    made = [
        RouteChange(kind=kind, host=host, service=service, route=route, shares=shares, proxies=tuple(proxies))
        for (kind, host, service, route, shares), proxies in found.items()
    ]
    return tuple(sorted(made, key=_rank))


def _rank(item: RouteChange) -> tuple[int, float, int]:
    return (("gone", "moved", "new").index(item.kind), -item.moved, -len(item.proxies))


def _of(proxy: ProxyPlan, known: dict[tuple[str, str], tuple[_Seen, ...]]) -> Iterator[_Seen]:
    for change in proxy.changes:
        if change.id.type is ResourceType.ROUTE and (proxy.live or change.old is not None):
            # Reading thousands of routes is dear, and most of a fleet changes alike.
            key = (change.old.version if change.old else "", change.new.version if change.new else "")
            if key not in known:
                known[key] = tuple(dict.fromkeys(_changes(_splits(change.old), _splits(change.new))))
            yield from known[key]
    yield from _by_runtime(proxy.changes)


def _splits(item: Resource | None) -> tuple[Split, ...]:
    return route_splits(item) if item is not None else ()


def _changes(old: Sequence[Split], new: Sequence[Split]) -> Iterator[_Seen]:
    for was, now in pair(old, new):
        if was is None:
            yield ("new", _host(now), now.service, now.route, _shares(None, now))
        elif was.shares != now.shares:
            yield ("moved", _host(now), now.service, now.route, _shares(was, now))
    for was, now in pair(new, old):  # the other way round: what has no counterpart among the new ones goes
        if was is None:
            yield ("gone", _host(now), now.service, now.route, _shares(now, None))


def _shares(was: Split | None, now: Split | None) -> tuple[Share, ...]:
    one = now or was
    if one is None:
        return ()
    names = labels(was, one)
    both = (
        (names[cluster], was.share(cluster) if was else 0.0, now.share(cluster) if now else 0.0)
        for cluster in sorted(names)
    )
    return tuple(Share(*item) for item in both)


def _host(split: Split) -> str:
    return _PORT.sub("", split.virtual_host)


def _by_runtime(changes: Sequence[Change]) -> Iterator[_Seen]:
    """Shares that runtime keys move; only those that change are known of."""
    found: dict[tuple[str, str], list[Share]] = {}
    for move in moves(item for item in changes if item.id.type is ResourceType.RUNTIME):
        found.setdefault((move.service, move.route), []).append(Share(move.destination, move.before, move.after))
    for (service, route), shares in found.items():
        yield ("moved", "", service, route, tuple(shares))
