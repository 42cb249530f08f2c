"""Load assignments: endpoints in groups by priority and locality, pushed by EDS or written into a cluster of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from envoy.config.core.v3.health_check_pb2 import DRAINING, UNHEALTHY
from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from reconciler.compile.clusters.discovery import UNIX, Discovery, lists
from reconciler.compile.clusters.localities import Spread, parts, priorities, rank, weights
from reconciler.compile.clusters.subject import Subject
from reconciler.model.hosts import is_address
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Endpoint, Health

_HEAVIEST = 2**32 - 1
"""Of all endpoints of a load assignment together: Envoy's limit within a locality and, with consistent hashing, within a priority;
gRPC's within each as well. Tried on Envoy 1.40: with Maglev and ring hash it refuses what weighs more."""

_STATUS = {Health.UNHEALTHY: UNHEALTHY, Health.DRAINING: DRAINING}


def members(subject: Subject, found: Discovery) -> tuple[tuple[Endpoint, int], ...]:
    """The endpoints of a cluster with their ports; a service of names that lists none is found by its own name.

    With resolution NONE at the port that was asked for, as in Istio; otherwise at the target port.

    An address that this way of discovery can't have is left out: Envoy would refuse all the others with it.
    """
    if subject.service is None or subject.port is None:
        return ()
    named = found in {Discovery.NAMES, Discovery.FIRST_NAME}
    if named and not lists(subject.service):
        asked = subject.service.resolution is Resolution.NONE
        return ((Endpoint(subject.service.host, {}, {}), subject.port.number if asked else subject.port.target),)
    name = subject.port.name
    fitting = tuple(
        (item, item.ports[name])
        for item in subject.endpoints()
        if item.address and name in item.ports and fits(item.address, named=named)
    )
    return fitting[:1] if found is Discovery.FIRST_NAME else fitting


def fits(address: str, *, named: bool) -> bool:
    """Whether endpoints can have this address: a name, or else an IP address or a Unix socket."""
    unix = address.startswith(UNIX)
    return not unix if named else unix or is_address(address)


def assignment(
    name: str, chosen: Iterable[tuple[Endpoint, int]], spread: Spread | None, *, probed: int = 0
) -> ClusterLoadAssignment:
    """A load assignment, its groups in order of priority and locality, its endpoints in order of address and port.

    Args:
        name: The cluster's.
        chosen: Endpoints with their ports, in any order.
        spread: How requests spread over localities.
        probed: The port at which health checks ask each of them; 0 for its own.
    """
    items = sorted(_lightened(chosen), key=lambda item: (item[0].address, item[1], item[0].weight))
    order = priorities(spread, (endpoint for endpoint, _ in items))
    shares = weights(spread, _sums(items)) if spread and spread.shares else None
    groups: dict[tuple[int, str], list[LbEndpoint]] = {}
    for endpoint, port in items:
        place = endpoint.locality
        if shares is None or place in shares:
            priority = order[rank(spread, endpoint)] if spread and order else 0
            groups.setdefault((priority, place), []).append(
                member(endpoint.address, port, weight=endpoint.weight, health=endpoint.health, probed=probed)
            )
    message = ClusterLoadAssignment(cluster_name=name)
    for (priority, place), hosts in sorted(groups.items(), key=lambda item: item[0]):
        group = message.endpoints.add(lb_endpoints=hosts, priority=priority)
        if place:
            group.locality.region, group.locality.zone, group.locality.sub_zone = parts(place)
        if shares is not None:
            group.load_balancing_weight.value = shares[place]
    return message


def fitted(weights_: Sequence[int]) -> list[int] | None:
    """These in the same proportions, but for rounding, so that they may stand together; None if they may as they are."""
    total = sum(weights_)
    if total <= _HEAVIEST:
        return None
    room = _HEAVIEST - len(weights_)
    return [max(1, weight * room // total) for weight in weights_]


def _lightened(chosen: Iterable[tuple[Endpoint, int]]) -> list[tuple[Endpoint, int]]:
    items = list(chosen)
    lighter = fitted([endpoint.weight for endpoint, _ in items])
    if lighter is None:
        return items
    return [(replace(endpoint, weight=weight), port) for (endpoint, port), weight in zip(items, lighter, strict=True)]


def _sums(items: Iterable[tuple[Endpoint, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for endpoint, _ in items:
        sums[endpoint.locality] = sums.get(endpoint.locality, 0) + endpoint.weight
    return sums


def member(address: str, port: int, *, weight: int = 1, health: Health = Health.HEALTHY, probed: int = 0) -> LbEndpoint:
    """One endpoint of a load assignment. Of a healthy one nothing is said, and Envoy takes it for healthy.

    Tried on Envoy 1.40: UNHEALTHY and DRAINING ones get no requests (which a panic threshold undoes for both, see
    `assembly`), and requests that such an endpoint has, or one that is removed, end as if nothing had happened. A change of health
    or weight by EDS is with the workers at once, however soon it follows another: `update_merge_window`, a second by default, keeps
    back only what health checks find (of 45 changes 50 ms to 1.5 s apart none was; the last request came at most 8 ms after).
    """
    message = LbEndpoint()
    place = message.endpoint.address
    if address.startswith(UNIX):
        place.pipe.path = address.removeprefix(UNIX)
    else:
        place.socket_address.address = address
        place.socket_address.port_value = port
        if probed and probed != port:
            message.endpoint.health_check_config.port_value = probed
    message.load_balancing_weight.value = weight
    if health is not Health.HEALTHY:
        message.health_status = _STATUS[health]
    return message


def localities(chosen: Iterable[tuple[Endpoint, int]]) -> Iterator[str]:
    """The localities that endpoints are in, each once, sorted; "" among them if one's is unknown."""
    yield from sorted({endpoint.locality for endpoint, _ in chosen})
