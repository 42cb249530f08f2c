"""What an element of a list is called, so that lists are compared by identity and not by position.

First step of a field diff. Both sides of a comparison are named together: an element keeps its name when a sibling with
the same name comes or goes. Knows shapes of Envoy's messages as dicts; knows nothing of plans.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNORDERED = frozenset(
    {"access_log", "clusters", "domains", "endpoints", "filter_chains", "headers", "lb_endpoints", "query_parameters",
     "virtual_hosts"}
)  # fmt: skip
"""Lists whose order Envoy gives no meaning, by field name. In every other one, order is part of the configuration.

Virtual hosts are chosen by their most specific domain and filter chains by their most specific match, whatever the order
(`route_components.proto`, `listener.proto`); header and query matchers must all hold; splits and endpoints are weighted.
"""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the elements of two lists, each unique in its list.

    Attributes:
        positional: The elements have no identity of their own; the names are their indexes.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    positional: bool = False


def compact(value: Any) -> str:
    """A JSON value in one line, keys sorted."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def match_text(match: Mapping[str, Any]) -> str:
    """A route's condition as people would say it: `prefix=/api headers=[...]`."""
    parts = (f"{key}={value if isinstance(value, str) else compact(value)}" for key, value in sorted(match.items()))
    return " ".join(parts) or "any"


def short_host(host: str) -> str:
    """`reviews` for `reviews.default.svc.cluster.local:9080`; other hosts without their port."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and host.count(":") == 1 else host
    return name.partition(".")[0] if ".svc." in name else name


def cluster_labels(names: Iterable[str]) -> dict[str, str]:
    """What each of these sibling clusters is called: its subset, else its short host, else its whole name.

    A label that two of them would share is given to neither.
    """
    distinct = set(names)
    wanted = {name: _cluster_label(name) for name in distinct}
    taken = Counter([*wanted.values(), *(name for name in distinct if wanted[name] != name)])
    return {name: label if taken[label] == 1 else name for name, label in wanted.items()}


def _cluster_label(name: str) -> str:
    # Istio's BuildSubsetKey: direction|port|subset|host.
    parts = name.split("|")
    if len(parts) != 4 or parts[0] != "outbound":  # noqa: PLR2004 -- the four parts above
        return name
    return parts[2] or short_host(parts[3]) or name


def name_elements(old: Sequence[Any], new: Sequence[Any]) -> Names:
    """Name the elements of both lists.

    By the name they carry; where that repeats or is absent, by what they match; where that repeats too, by occurrence.
    Lists with an element that has no identity at all, and lists of scalars with repeats, are named by position.
    """
    first, second = [_identity(item) for item in old], [_identity(item) for item in new]
    scalar = not any(isinstance(item, dict) for item in (*old, *new))
    repeated = {name for side in (first, second) for name, count in Counter(side).items() if count > 1}
    if "" in first or "" in second or (scalar and repeated):
        return _positions(old, new)
    labels = cluster_labels([*first, *second])
    names = Names(
        tuple(_number(_detail(item, name, repeated, labels) for item, name in zip(old, first, strict=True))),
        tuple(_number(_detail(item, name, repeated, labels) for item, name in zip(new, second, strict=True))),
    )
    unique = len(set(names.old)) == len(old) and len(set(names.new)) == len(new)
    return names if unique else _positions(old, new)


def _positions(old: Sequence[Any], new: Sequence[Any]) -> Names:
    return Names(tuple(map(str, range(len(old)))), tuple(map(str, range(len(new)))), positional=True)


def _detail(item: Any, name: str, repeated: set[str], labels: Mapping[str, str]) -> str:
    if name in repeated and isinstance(item, dict) and isinstance(item.get("match"), dict) and item.get("name"):
        return f"{name} {match_text(item['match'])}"
    return labels[name]


def _number(names: Iterable[str]) -> Iterable[str]:
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} #{seen[name]}"


def _identity(item: Any) -> str:
    """The name an element carries by itself, or ""."""
    if isinstance(item, list):
        return ""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else compact(item)
    for read in (_by_name, _by_address, _by_locality, _by_header, _by_match):
        found = read(item)
        if found:
            return found
    return ""


def _by_name(item: dict[str, Any]) -> str:
    return _text(item.get("name"))


def _by_address(item: dict[str, Any]) -> str:
    endpoint = item.get("endpoint")
    address = endpoint.get("address") if isinstance(endpoint, dict) else None
    if not isinstance(address, dict):
        return ""
    socket, pipe = address.get("socket_address"), address.get("pipe")
    if isinstance(socket, dict):
        host = _text(socket.get("address"))
        port = socket.get("port_value", socket.get("named_port", ""))
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return _text(pipe.get("path")) if isinstance(pipe, dict) else ""


def _by_locality(item: dict[str, Any]) -> str:
    if "lb_endpoints" not in item and "locality" not in item:
        return ""
    where = item.get("locality", {})
    if not isinstance(where, dict):
        return ""
    return "/".join(filter(None, (_text(where.get(part)) for part in ("region", "zone", "sub_zone")))) or "default"


def _by_header(item: dict[str, Any]) -> str:
    header = item.get("header")
    return _text(header.get("key")) if isinstance(header, dict) else ""


def _by_match(item: dict[str, Any]) -> str:
    match = item.get("match")
    return match_text(match) if isinstance(match, dict) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
