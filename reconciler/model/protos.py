"""The one form in which Envoy messages are kept and compared: deterministic protobuf bytes, and JSON-like dicts to read.

Two messages that mean the same have the same bytes here, whether they were compiled or read back from an Envoy: nested
`Any`s are normalised too. Importing this module loads Envoy's protobufs, about 80 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

# Every message that may stand inside an `Any` of ours or of an Envoy's dump has to be in the descriptor pool.
import envoy.extensions.access_loggers.file.v3.file_pb2
import envoy.extensions.access_loggers.stream.v3.stream_pb2
import envoy.extensions.clusters.dns.v3.dns_cluster_pb2
import envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2
import envoy.extensions.filters.http.cors.v3.cors_pb2
import envoy.extensions.filters.http.dynamic_forward_proxy.v3.dynamic_forward_proxy_pb2
import envoy.extensions.filters.http.fault.v3.fault_pb2
import envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2
import envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2
import envoy.extensions.filters.http.router.v3.router_pb2
import envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2
import envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2
import envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2
import envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.sni_dynamic_forward_proxy_pb2
import envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2
import envoy.extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2
import envoy.extensions.network.dns_resolver.getaddrinfo.v3.getaddrinfo_dns_resolver_pb2
import envoy.extensions.rate_limit_descriptors.expr.v3.expr_pb2
import envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2
import envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2
import envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2
import envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2
import envoy.extensions.transport_sockets.tls.v3.tls_pb2
import envoy.extensions.upstreams.http.v3.http_protocol_options_pb2  # noqa: F401
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from reconciler.model import endpoints
from reconciler.model.ordering import with_sorted_maps
from reconciler.model.resource import Resource, ResourceType

MESSAGES: Mapping[ResourceType, type[Message]] = {
    ResourceType.SECRET: Secret,
    ResourceType.CLUSTER: Cluster,
    ResourceType.ENDPOINTS: ClusterLoadAssignment,
    ResourceType.LISTENER: Listener,
    ResourceType.ROUTE: RouteConfiguration,
}
"""The message class of each xDS type."""

M = TypeVar("M", bound=Message)

_ANY = "google.protobuf.Any"
_NAME_FIELD = {ResourceType.ENDPOINTS: "cluster_name"}


def encode(message: Message) -> bytes:
    """Deterministic bytes. `Any`s inside must have been packed from deterministic bytes too; `canonical` sees to it."""
    return message.SerializeToString(deterministic=True)


def resource(type_: ResourceType, message: Message) -> Resource:
    """A message as a resource under its own name; endpoints in the form of `model.endpoints`, as Envoy would show them."""
    if type_ is ResourceType.ENDPOINTS:
        message = endpoints.canonical(message)
    return Resource.of(type_, getattr(message, _NAME_FIELD.get(type_, "name")), encode(message))


def decode(item: Resource) -> Message:
    """The message of a resource; a fresh copy each time.

    Raises:
        KeyError: The resource is a RUNTIME key.
    """
    message = MESSAGES[item.id.type]()
    message.ParseFromString(item.body)
    return message


def to_dict(message: Message) -> dict[str, Any]:
    """A message as JSON-like values with proto field names, durations as `1.500s`, `Any`s unpacked under `@type`.

    Fields are in the order of their numbers, the keys of maps sorted: the same in every process.
    """
    value = json_format.MessageToDict(message, preserving_proto_field_name=True)
    descriptor: Any = message.DESCRIPTOR
    ordered: dict[str, Any] = with_sorted_maps(descriptor, value)
    return ordered


def from_dict(type_: ResourceType, value: Mapping[str, Any]) -> Message:
    """The message that a dict, such as a part of Envoy's config dump, describes.

    Raises:
        google.protobuf.json_format.ParseError: A field or an `Any`'s type is unknown to our protobufs.
    """
    return canonical(json_format.ParseDict(dict(value), MESSAGES[type_]()))


def canonical(message: M) -> M:
    """The same message, its nested `Any`s repacked in place from deterministic bytes.

    `ParseDict` packs them in whatever order their maps have in this process, so equal messages would differ in bytes.

    Raises:
        KeyError: An `Any`'s type is unknown to our protobufs.
    """
    if message.DESCRIPTOR.full_name == _ANY:
        packed: Any = message
        inner = _message_class(packed.TypeName())()
        inner.ParseFromString(packed.value)
        packed.value = encode(canonical(inner))
    elif may_hold_any(message.DESCRIPTOR):
        for field, value in message.ListFields():
            for child in children(field, value):
                canonical(child)
    return message


def children(field: FieldDescriptor, value: Any) -> Iterable[Message]:
    """The messages in a field that is set: one, the items of a list, the values of a map; none in a field of scalars."""
    if field.message_type is None:
        return ()
    if field.message_type.GetOptions().map_entry:
        is_message = field.message_type.fields_by_name["value"].message_type is not None
        return tuple(value.values()) if is_message else ()
    return tuple(value) if field.is_repeated else (value,)


@cache
def _message_class(full_name: str) -> type[Message]:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full_name))


@cache
def may_hold_any(root: Descriptor) -> bool:
    """Whether an `Any` can stand somewhere inside: most of a dump can't, and need not be walked."""
    seen, waiting = {root.full_name}, [root]
    while waiting:
        for field in waiting.pop().fields:
            inner = field.message_type
            if inner is not None and inner.full_name not in seen:
                seen.add(inner.full_name)
                waiting.append(inner)
    return _ANY in seen
