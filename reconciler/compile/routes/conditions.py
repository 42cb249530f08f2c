"""Conditions on the proxy rather than on the request: decided while compiling, so that an Envoy never sees them."""

from __future__ import annotations

from reconciler.compile.viewer import Place
from reconciler.model.mesh import Policy
from reconciler.model.virtualservice import MESH_GATEWAY, HTTPMatch, VirtualService


def holds(match: HTTPMatch, *, owner: Policy[VirtualService], place: Place) -> bool:
    """Whether a match can apply in a place. With `gateways`, the labels and namespace aren't looked at, as in Istio."""
    if match.port and match.port != place.port:
        return False
    if match.gateways:
        return any(gateway_name(name, owner) in place.gateways for name in match.gateways)
    if not place.viewer.carries(dict(match.source_labels)):
        return False
    return match.source_namespace in {"", place.viewer.namespace}


def gateway_name(name: str, owner: Policy[VirtualService]) -> str:
    """A gateway as `Place.gateways` has it: `mesh`, or `namespace/name` from the namespace of the document."""
    return name if name == MESH_GATEWAY else str(owner.resolve(name))
