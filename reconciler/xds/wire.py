"""Responses as bytes: each resource is encoded once and joined into the responses of all streams that send it. Pure.

Protobuf messages may be written field by field, in any order, and repeated fields one by one (protobuf's encoding guide), so a
response is its header followed by the entries of its resources, whoever encoded them and when.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse
from envoy.service.discovery.v3.discovery_pb2 import Resource as Wrapped
from google.protobuf.any_pb2 import Any as Packed

from reconciler.model.resource import Resource

_RESOURCES = 2
"""Field number of `resources` in both kinds of response."""

_LENGTH_DELIMITED = 2
_SEVEN, _MORE = 0x7F, 0x80


def delta_entry(resource: Resource) -> bytes:
    """One resource as it stands in a `DeltaDiscoveryResponse`: name, version and body."""
    wrapped = Wrapped(name=resource.id.name, version=resource.version, resource=_packed(resource))
    return _field(_RESOURCES, wrapped.SerializeToString(deterministic=True))


def sotw_entry(resource: Resource) -> bytes:
    """One resource as it stands in a `DiscoveryResponse`: the body alone."""
    return _field(_RESOURCES, _packed(resource).SerializeToString(deterministic=True))


def delta_response(
    *, type_url: str, version: str, nonce: str, identifier: str, entries: Iterable[bytes], removed: Iterable[str]
) -> bytes:
    """A whole `DeltaDiscoveryResponse`."""
    head = DeltaDiscoveryResponse(
        system_version_info=version, type_url=type_url, nonce=nonce, removed_resources=sorted(removed)
    )
    head.control_plane.identifier = identifier
    return b"".join([head.SerializeToString(), *entries])


def sotw_response(*, type_url: str, version: str, nonce: str, identifier: str, entries: Iterable[bytes]) -> bytes:
    """A whole `DiscoveryResponse`."""
    head = DiscoveryResponse(version_info=version, type_url=type_url, nonce=nonce)
    head.control_plane.identifier = identifier
    return b"".join([head.SerializeToString(), *entries])


def _packed(resource: Resource) -> Packed:
    return Packed(type_url=resource.id.type.type_url, value=resource.body)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > _SEVEN:
        out.append(value & _SEVEN | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)
