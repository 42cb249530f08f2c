"""A view with interception, for a machine without iptables. Pure.

What the kernel would say of a connection's original destination comes in a PROXY header instead: Envoy restores the local
address from either in the same way. The two listeners are at ports that are free, not at 15001 and 15006.
"""

from __future__ import annotations

from typing import Any

from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol

from reconciler.compile import names
from reconciler.model.protos import decode, resource
from reconciler.model.resource import Resource, ResourceType, View


def redirected(view: View, outbound: int, inbound: int) -> View:
    """The view with its two listeners of interception, if any, on 127.0.0.1 at these ports."""
    ports = {names.VIRTUAL_OUTBOUND: outbound, names.VIRTUAL_INBOUND: inbound}
    return View.of(view.proxy, [_moved(item, ports.get(item.id.name)) for item in view.resources.values()])


def _moved(item: Resource, port: int | None) -> Resource:
    if port is None or item.id.type is not ResourceType.LISTENER:
        return item
    message: Any = decode(item)
    message.address.socket_address.address = "127.0.0.1"
    message.address.socket_address.port_value = port
    (asking,) = (entry for entry in message.listener_filters if entry.typed_config.Is(OriginalDst.DESCRIPTOR))
    asking.typed_config.Pack(ProxyProtocol())
    return resource(ResourceType.LISTENER, message)
