"""The one form of a cluster's endpoints in which what was written and what Envoy shows can be compared.

Envoy's dump of a ClusterLoadAssignment is not what it was sent: it is built anew from the hosts in memory
(`ConfigDumpHandler::dumpEndpointConfigs`; everything below was tried on Envoy 1.40). So both sides are brought into this
form: a compiled assignment when it becomes a resource, a dumped one when it is read. Nothing that changes where traffic
goes is dropped: what the dump can't show (`named_endpoints`, a locality's metadata) is left in, and such an assignment
never equals a live one.

Health is the exception. The dump shows of each host whether Envoy calls it, and not why (tried, with `include_eds`): UNHEALTHY for
what EDS calls UNHEALTHY, DRAINING or TIMEOUT, for one that failed its health check and for one that was ejected; HEALTHY for
all others, DEGRADED for what EDS calls so. So who reads a dump leaves it out (`envoy.normalise`), what is pushed has it, and
`alike` compares the two: a host that Envoy took out by itself must not look like drift. What EDS said is in
`/clusters?format=json` (`eds_health_status`), and that it arrived is told by the version of the assignment.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace

from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf.message import Message

from reconciler.model.resource import Resource

_OVERPROVISIONING = 140
"""Envoy's default, in percent; the dump always shows it."""

_PER_MILLION = (10_000, 100, 1)
"""Millionths in one part of FractionalPercent's HUNDRED, TEN_THOUSAND and MILLION."""

_Where = tuple[int, str, str, str]
"""Priority, region, zone, sub-zone."""


def canonical(assignment: Message) -> Message:
    """An equal assignment in canonical form; the given one is not changed.

    - Endpoints of one locality and priority are one group; groups are in order of priority and locality; empty ones are gone.
    - In a group, endpoints are in order of their bytes; of several with one address Envoy keeps the first.
    - A weight is always there, 1 by default; a locality's weight of 0 is absent, as is an empty locality or health check.
    - IP addresses are in their shortest form; the default overprovisioning factor is absent; drops are in millionths.
    """
    given: ClusterLoadAssignment = assignment
    out = ClusterLoadAssignment()
    out.CopyFrom(given)
    del out.endpoints[:]
    groups: dict[_Where, LocalityLbEndpoints] = {}
    seen: set[bytes] = set()
    for locality in given.endpoints:
        group = _group(groups, locality)
        group.lb_endpoints.extend(_hosts(locality.lb_endpoints, seen))
    for _, group in sorted(groups.items(), key=lambda item: item[0]):
        group.lb_endpoints.sort(key=_bytes)
        if group.lb_endpoints or group.WhichOneof("lb_config") is not None:
            out.endpoints.append(group)
    _settle_policy(out)
    settled: Message = out
    return settled


def bare(item: Resource) -> Resource:
    """A load assignment as a dump can show it, without health; itself if nothing is said of any endpoint's.

    Itself also if its version is not that of its body: such a one was read and can't be expressed.
    """
    message = ClusterLoadAssignment()
    message.ParseFromString(item.body)
    told = [group for group in message.endpoints if any(host.health_status for host in group.lb_endpoints)]
    if not told or Resource.of(item.id.type, item.id.name, item.body).version != item.version:
        return item
    for group in told:
        for host in group.lb_endpoints:
            host.ClearField("health_status")
        group.lb_endpoints.sort(key=_bytes)
    return replace(Resource.of(item.id.type, item.id.name, _bytes(message)), recipe=item.recipe)


def alike(one: Resource, other: Resource) -> bool:
    """Whether two load assignments are equal but for health. One whose version is not that of its body is like no other.

    Raises:
        google.protobuf.message.DecodeError: A body is no load assignment.
    """
    return one.version == other.version or bare(one).version == bare(other).version


def _group(groups: dict[_Where, LocalityLbEndpoints], locality: LocalityLbEndpoints) -> LocalityLbEndpoints:
    where = locality.locality
    key = (locality.priority, where.region, where.zone, where.sub_zone)
    if key not in groups:
        group = LocalityLbEndpoints()
        group.CopyFrom(locality)
        del group.lb_endpoints[:]
        if not any(key[1:]):
            group.ClearField("locality")
        if not group.load_balancing_weight.value:
            group.ClearField("load_balancing_weight")
        groups[key] = group
    return groups[key]


def _hosts(hosts: Iterable[LbEndpoint], seen: set[bytes]) -> Iterator[LbEndpoint]:
    for given in hosts:
        host = LbEndpoint()
        host.CopyFrom(given)
        if not host.load_balancing_weight.value:
            host.load_balancing_weight.value = 1
        endpoint = host.endpoint
        if endpoint.address.WhichOneof("address") == "socket_address":
            socket_address = endpoint.address.socket_address
            socket_address.address = shortest(socket_address.address)
        if endpoint.HasField("health_check_config") and not endpoint.health_check_config.ByteSize():
            endpoint.ClearField("health_check_config")
        address = _bytes(endpoint.address)
        if not address or address not in seen:
            seen.add(address)
            yield host


def _settle_policy(assignment: ClusterLoadAssignment) -> None:
    if not assignment.HasField("policy"):
        return
    policy = assignment.policy
    if policy.overprovisioning_factor.value == _OVERPROVISIONING:
        policy.ClearField("overprovisioning_factor")
    for drop in policy.drop_overloads:
        share = drop.drop_percentage
        share.numerator *= _PER_MILLION[share.denominator]
        share.denominator = len(_PER_MILLION) - 1
    if not policy.ByteSize():
        assignment.ClearField("policy")


def shortest(address: str) -> str:
    """An IP address as Envoy writes it; anything else as it is."""
    if ":" not in address:  # IPv4 has but one form, and names are left alone
        return address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a name, which only Envoy can judge
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return f"::ffff:{mapped}" if mapped else str(parsed)  # Python 3.13 and inet_ntop write it so; 3.11 does not


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
