"""How the instances of services do, as their callers see them: what `reconcile status` shows of it, as JSON and in words.

Pure. Only what is not well is listed, and of a large service the first few instances; a healthy fleet has nothing to read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.seen import HostsSeen, Place, Sight, Trouble

_LISTED = 20
"""Instances of one service in JSON, and services in text, after which the rest is a number."""

_NAMED = 5
"""Proxies that do not answer, each with its reason, after which the rest is a number."""

WORDS: Mapping[Trouble, str] = MappingProxyType(
    {
        Trouble.EJECTED: "ejected (outlier)",
        Trouble.FAILED_CHECK: "failed (health check)",
        Trouble.UNCHECKED: "not checked yet",
        Trouble.UNHEALTHY: "unhealthy (platform)",
        Trouble.DRAINING: "draining (platform)",
        Trouble.DEGRADED: "degraded",
        Trouble.LEAVING: "leaving",
    }
)
"""What each trouble is called."""

_OUTBOUND, _PARTS = "outbound", 4


def wellbeing(seen: HostsSeen, unread: Mapping[Key, Diagnostic]) -> dict[str, Any]:
    """The part of the status document.

    Args:
        seen: What proxies said.
        unread: Those that were not asked, since nothing else of them could be read either, and why.
    """
    silent = {**unread, **seen.silent}
    groups = groupby(seen.hosts.items(), key=lambda item: item[0][0])
    services = (_service(cluster, [*hosts]) for cluster, hosts in groups)
    return {
        "answered": len(seen.answered),
        "silent": [
            {"proxy": str(key), "code": silent[key].code, "reason": silent[key].message} for key in sorted(silent)
        ],
        "services": [item for item in services if item["not_well"]],
    }


def _service(cluster: str, hosts: Sequence[tuple[Place, Sight]]) -> dict[str, Any]:
    bad = [(place, sight) for place, sight in hosts if not sight.well]
    host, port, subset = _named(cluster)
    return {
        "cluster": cluster,
        "host": host,
        "port": port,
        "subset": subset,
        "instances": len(hosts),
        "not_well": len(bad),
        "callers": max(sight.proxies for _, sight in hosts),
        "troubles": [*_troubles([sight for _, sight in bad])],
        "hosts": [
            {
                "address": place[1],
                "port": place[2],
                "callers": sight.proxies,
                "troubles": {str(trouble): count for trouble, count in sight.troubles.items()},
            }
            for place, sight in bad[:_LISTED]
        ],
        "more_hosts": max(0, len(bad) - _LISTED),
    }


def _troubles(sights: Iterable[Sight]) -> Iterable[dict[str, Any]]:
    """Each trouble: how many instances have it, and how many callers see it at each of them, at least and at most."""
    found: dict[Trouble, list[int]] = {}
    for sight in sights:
        for trouble, count in sight.troubles.items():
            found.setdefault(trouble, []).append(count)
    for trouble in Trouble:
        if trouble in found:
            counts = found[trouble]
            yield {"trouble": str(trouble), "instances": len(counts), "seen_by": [min(counts), max(counts)]}


def _named(cluster: str) -> tuple[str, int | None, str]:
    """Host, port and subset of a cluster that is a service's; the name alone of any other."""
    parts = cluster.split("|")
    if len(parts) != _PARTS or parts[0] != _OUTBOUND or not parts[1].isdecimal():
        return cluster, None, ""
    return parts[3], int(parts[1]), parts[2]


def wellbeing_lines(document: Mapping[str, Any], *, unreachable: Iterable[str] = ()) -> list[str]:
    """The same in words, a line a service; none where all is well.

    Args:
        document: What `wellbeing` made.
        unreachable: Proxies of which it is said elsewhere that nothing can be read from them.
    """
    services = document["services"]
    lines = [
        f"{_label(item)}: {', '.join(_in_words(item, trouble) for trouble in item['troubles'])}"
        for item in services[:_LISTED]
    ]
    more = len(services) - _LISTED
    if more > 0:
        lines.append(
            f"and {more} more {'service' if more == 1 else 'services'} with instances that are not well (-o json has all)"
        )
    known = frozenset(unreachable)
    return lines + silent_lines([item for item in document["silent"] if item["proxy"] not in known])


def silent_lines(silent: Sequence[Mapping[str, Any]]) -> list[str]:
    """Proxies that could not be asked, and why; of many the first."""
    lines = [f"{item['proxy']} does not say how it sees instances: {item['reason']}" for item in silent[:_NAMED]]
    if len(silent) > _NAMED:
        lines.append(f"and {len(silent) - _NAMED} more proxies do not say it")
    return lines


def _label(item: Mapping[str, Any]) -> str:
    if item["port"] is None:
        return str(item["host"])
    host = str(item["host"]).partition(".svc.")[0]
    return f"{host}:{item['port']} {item['subset']}".rstrip()


def _in_words(item: Mapping[str, Any], trouble: Mapping[str, Any]) -> str:
    least, most = trouble["seen_by"]
    callers = item["callers"]
    by = f"{most}" if least == most else f"{least} to {most}"
    whom = f"{by} of {callers} proxies" if least < callers else f"{callers} {'proxy' if callers == 1 else 'proxies'}"
    return f"{trouble['instances']} of {item['instances']} {WORDS[Trouble(trouble['trouble'])]} as seen by {whom}"
