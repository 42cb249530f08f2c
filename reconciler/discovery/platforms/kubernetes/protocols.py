"""What is spoken on a Service's port, by Istio's rules. Pure.

`appProtocol` counts before the port's name; of both the part before the first `-` is read, in any case
(https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/). Where Istio would look into the first
bytes of a connection, as neither says anything that it knows, a port is TCP here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.model.protocol import Protocol

# Names that the Service API itself defines, for `appProtocol` only.
_STANDARD: Mapping[str, Protocol] = MappingProxyType(
    {
        "kubernetes.io/h2c": Protocol.HTTP2,
        "kubernetes.io/ws": Protocol.HTTP,
        "kubernetes.io/wss": Protocol.HTTPS,
    }
)
_GRPC_WEB = "GRPC-WEB"


def spoken(name: str, app_protocol: str = "") -> Protocol | None:
    """The protocol of a port with this name and `appProtocol`; None for one that is declared to be UDP."""
    standard = _STANDARD.get(app_protocol)
    if standard is not None:
        return standard
    said = (app_protocol or name).upper()
    if said.startswith(_GRPC_WEB):  # the one with a hyphen of its own
        return Protocol.GRPC_WEB
    word = said.partition("-")[0]
    if word == "UDP":
        return None
    return Protocol(word) if word in set(Protocol) else Protocol.TCP
