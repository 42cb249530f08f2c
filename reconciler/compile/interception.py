"""Interception: iptables sends a workload's connections to two listeners, which ask the kernel where they were going.

`virtualOutbound` hands each over to the outbound listener of its destination, or passes it on as it is; `virtualInbound` takes
those for the application, by port (Istio's `listener_builder.go`). The clusters that both fall back on are here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from reconciler.compile import names
from reconciler.compile.listeners import Chain, Direction, build
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.sidecars import Unknown, passed_on
from reconciler.compile.sockets import Fixed, Socket
from reconciler.model.origin import Origin
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType

OUTBOUND_PORT = 15001
"""Where iptables sends connections of the application."""

INBOUND_PORT = 15006
"""Where iptables sends connections to the application."""

RESERVED = frozenset({OUTBOUND_PORT, INBOUND_PORT})
"""Ports on which nothing else can wait at all addresses."""

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SOURCES = {names.ANY_ADDRESS: "127.0.0.6", names.ANY_ADDRESS_6: "::6"}
"""Whom the application sees instead of a caller whose connection is passed through: iptables lets this address alone."""


def virtual_outbound(unknown: Unknown, prototypes: Prototypes, *, wildcard: str) -> Resource:
    """The listener for connections of the application; those to its own port are closed, not sent round in a circle."""
    catch_all = passed_on(unknown.cluster or names.BLACK_HOLE, name=f"{names.VIRTUAL_OUTBOUND}-catchall-tcp")
    return build(
        direction=Direction.OUTBOUND,
        address=wildcard,
        port=OUTBOUND_PORT,
        name=names.VIRTUAL_OUTBOUND,
        chains=[_closed(names.VIRTUAL_OUTBOUND, OUTBOUND_PORT)],
        default=catch_all,
        original_destination=True,
        prototypes=prototypes,
    )


def virtual_inbound(
    served: Iterable[tuple[int, Chain]], prototypes: Prototypes, *, wildcard: str, http_filters: Iterable[Any] = ()
) -> Resource:
    """The listener for connections to the application: by port, and whatever is left at the address that was asked for."""
    chains = [
        replace(chain, name=names.listener(wildcard, port), stats=names.listener(wildcard, port), port=port)
        for port, chain in served
        if port != INBOUND_PORT
    ]
    return build(
        direction=Direction.INBOUND,
        address=wildcard,
        port=INBOUND_PORT,
        name=names.VIRTUAL_INBOUND,
        chains=[_closed(names.VIRTUAL_INBOUND, INBOUND_PORT), *chains],
        default=passed_on(names.INBOUND_PASSTHROUGH, name=names.VIRTUAL_INBOUND),
        original_destination=True,
        prototypes=prototypes,
        http_filters=http_filters,
    )


def _closed(listener: str, port: int) -> Chain:
    return passed_on(names.BLACK_HOLE, name=f"{listener}-blackhole", port=port)


def clusters(prototypes: Prototypes, *, wildcard: str) -> Iterator[Resource]:
    """What intercepted connections fall back on."""
    yield resource(ResourceType.CLUSTER, Cluster(name=names.BLACK_HOLE, type=Cluster.STATIC))
    yield resource(ResourceType.CLUSTER, _original(names.PASSTHROUGH, prototypes.cluster))
    inbound = _original(names.INBOUND_PASSTHROUGH, prototypes.cluster_inbound)
    inbound.upstream_bind_config.source_address.address = _SOURCES[wildcard]
    inbound.upstream_bind_config.source_address.port_value = 0
    yield resource(ResourceType.CLUSTER, inbound)


def _original(name: str, template: Any) -> Any:
    """A cluster whose only endpoint is where the connection was going; it speaks HTTP as the client does."""
    message = Cluster()
    message.CopyFrom(template)
    message.name = name
    message.type = Cluster.ORIGINAL_DST
    message.lb_policy = Cluster.CLUSTER_PROVIDED
    for field in ("least_request_lb_config", "round_robin_lb_config", "ring_hash_lb_config", "maglev_lb_config"):
        message.ClearField(field)
    options = HttpProtocolOptions()
    packed = message.typed_extension_protocol_options[_HTTP_OPTIONS]
    packed.Unpack(options)
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    packed.Pack(options, deterministic=True)
    return message


def sockets(owner: str, origin: Origin, *, wildcard: str) -> Iterator[Socket]:
    """What the two listeners bind."""
    for port, side in ((OUTBOUND_PORT, "outbound"), (INBOUND_PORT, "inbound")):
        yield Socket(
            address=wildcard,
            port=port,
            what=f"the {side} listener of {owner}, to which its connections are redirected,",
            listener=True,
            fixed=Fixed.WORKLOAD,
            origin=origin,
            path=("spec", "workload"),
        )
