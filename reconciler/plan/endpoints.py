"""What differs between two load assignments of very many endpoints, in one line: how many came, went and changed.

A field diff of ten thousand endpoints takes seconds, and nobody reads it.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf.message import DecodeError

from reconciler.model.plan import FieldChange
from reconciler.model.protos import encode
from reconciler.model.resource import Resource

_FEW_ENDPOINTS = 500
_FEW_CHANGES = 20


def summary(old: Resource, new: Resource) -> FieldChange | None:
    """`(endpoints)`: from `10000 endpoints` to `10002 endpoints (+3 -1 ~2)`; `~` counts those that stay and differ.

    None if there are few of them, and few that differ, so that they can be listed; or if nothing but their groups differs.
    """
    try:
        before, after = dict(_members(old)), dict(_members(new))
    except DecodeError:
        return None
    came, went = after.keys() - before.keys(), before.keys() - after.keys()
    other = sum(before[place] != after[place] for place in before.keys() & after.keys())
    differing = len(came) + len(went) + other
    if not differing or (differing <= _FEW_CHANGES and max(len(before), len(after)) <= _FEW_ENDPOINTS):
        return None
    signs = ((len(came), "+"), (len(went), "-"), (other, "~"))
    told = " ".join(f"{sign}{amount}" for amount, sign in signs if amount)
    return FieldChange("(endpoints)", f"{len(before)} endpoints", f"{len(after)} endpoints ({told})")


def _members(item: Resource) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """Endpoints by address, with where they are and all that is said of them."""
    message = ClusterLoadAssignment()
    message.ParseFromString(item.body)
    for group in message.endpoints:
        place = encode(group.locality) + group.priority.to_bytes(4, "big")
        for host in group.lb_endpoints:
            yield encode(host.endpoint.address), (place, encode(host))
