"""What of Kubernetes' objects is kept: a few fields of each, read strictly. Pure.

A cluster's lists are large, and little of them matters; an object becomes one of these as soon as it was read, and is forgotten.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from reconciler.discovery.platforms.kubernetes.protocols import spoken
from reconciler.model.services import Health, Port

Name = tuple[str, str]
"""Namespace (or "") and name."""

SERVICE_LABEL = "kubernetes.io/service-name"
"""Of an EndpointSlice: the Service that it belongs to."""

_REGION = "topology.kubernetes.io/region"
_ZONE = "topology.kubernetes.io/zone"
_SUBZONE = "topology.istio.io/subzone"
_NETWORK = "topology.istio.io/network"
_LOCALITY = "istio-locality"


class MalformedError(ValueError):
    """An object is not what the API says that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service.

    Attributes:
        ports: Those over TCP.
        addresses: Its cluster IPs; none of a headless one.
        selector: Of its pods; None where it has none, and its EndpointSlices are somebody's own.
        families: `IPv4`, `IPv6`, the preferred one first.
        external: The name that it stands for, or "".
    """

    ports: tuple[Port, ...] = ()
    addresses: tuple[str, ...] = ()
    selector: Mapping[str, str] | None = None
    families: tuple[str, ...] = ()
    external: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One endpoint of an EndpointSlice.

    Attributes:
        pod: Its Pod, if it is one.
        node: Where it runs, or "".
    """

    address: str
    health: Health
    pod: Name | None
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """An EndpointSlice.

    Attributes:
        service: Whose.
        family: `IPv4` or `IPv6`.
        ports: By name; those over TCP.
    """

    service: Name
    family: str
    ports: Mapping[str, int]
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A Pod.

    Attributes:
        locality: What a label of its own says, or "": then its node's counts.
    """

    labels: Mapping[str, str]
    account: str = ""
    locality: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node: where it is, as `region/zone/subzone`, or ""."""

    locality: str


Record = Service | Slice | Pod | Node


def name_of(item: Any) -> Name:
    """Whose record this is.

    Raises:
        MalformedError: It has no name.
    """
    metadata = _mapping(item, "metadata")
    name = _text(metadata, "name")
    if not name:
        raise MalformedError("it has no name")
    return _text(metadata, "namespace"), name


def version_of(item: Any) -> str:
    """Its `resourceVersion`, also of a list or a bookmark.

    Raises:
        MalformedError: It has none.
    """
    version = _text(_mapping(item, "metadata"), "resourceVersion")
    if not version:
        raise MalformedError("it has no resourceVersion")
    return version


def service(item: Any) -> Service:
    """Read a Service.

    Raises:
        MalformedError: It is none.
    """
    spec = _mapping(item, "spec")
    named = [port for port in map(_service_port, _list(spec, "ports")) if port is not None]
    if _text(spec, "type") == "ExternalName":
        external = _text(spec, "externalName").rstrip(".").lower()
        if not external:
            raise MalformedError("it is an ExternalName without a name")
        return Service(ports=tuple(named), external=external)
    addresses = _texts(spec, "clusterIPs") or (_text(spec, "clusterIP"),)
    return Service(
        ports=tuple(named),
        addresses=tuple(_address(text) for text in addresses if text not in {"", "None"}),
        selector=_labels(spec, "selector") or None,
        families=_texts(spec, "ipFamilies"),
    )


def endpoint_slice(item: Any) -> Slice | None:
    """Read an EndpointSlice; None if it belongs to no Service.

    Raises:
        MalformedError: It is none, or one of names, which the API has given up.
    """
    namespace, _ = name_of(item)
    owner = _labels(_mapping(item, "metadata"), "labels").get(SERVICE_LABEL, "")
    if not owner:
        return None
    family = _text(item, "addressType")
    if family not in {"IPv4", "IPv6"}:
        raise MalformedError(f"its addressType is {family or 'missing'}: only IPv4 and IPv6 are read")
    ports = [_mapping_itself(port) for port in _list(item, "ports")]
    return Slice(
        service=(namespace, owner),
        family=family,
        ports={
            _text(port, "name"): _number(port, "port")
            for port in ports
            if (_text(port, "protocol") or "TCP") == "TCP" and port.get("port") is not None
        },
        backends=tuple(_backend(_mapping_itself(endpoint), namespace) for endpoint in _list(item, "endpoints")),
    )


def pod(item: Any) -> Pod:
    """Read a Pod.

    Raises:
        MalformedError: It is none.
    """
    labels = _labels(_mapping(item, "metadata"), "labels")
    return Pod(
        labels=labels,
        account=_text(_mapping(item, "spec"), "serviceAccountName"),
        locality=labels.get(_LOCALITY, "").replace(".", "/"),  # a label's value can't have a slash
        network=labels.get(_NETWORK, ""),
    )


def node(item: Any) -> Node:
    """Read a Node, of which labels are enough.

    Raises:
        MalformedError: It is none.
    """
    labels = _labels(_mapping(item, "metadata"), "labels")
    parts = [labels.get(name, "") for name in (_REGION, _ZONE, _SUBZONE)]
    while parts and not parts[-1]:
        parts.pop()
    return Node("/".join(parts) if parts and parts[0] else "")


def _service_port(item: Any) -> Port | None:
    port = _mapping_itself(item)
    if (_text(port, "protocol") or "TCP") != "TCP":
        return None
    name, number = _text(port, "name"), _number(port, "port")
    protocol = spoken(name, _text(port, "appProtocol"))
    target = port.get("targetPort")  # a name is resolved in EndpointSlices
    return None if protocol is None else Port(number, name, protocol, target if isinstance(target, int) else number)


def _backend(item: Mapping[str, Any], namespace: str) -> Backend:
    addresses = _texts(item, "addresses")
    if not addresses:
        raise MalformedError("an endpoint has no address")
    target = _mapping(item, "targetRef")
    pod_name = _text(target, "name") if _text(target, "kind") == "Pod" else ""
    return Backend(
        address=_address(addresses[0]),  # all are the same to callers, says the API, which may use the first alone
        health=_health(_mapping(item, "conditions")),
        pod=(_text(target, "namespace") or namespace, pod_name) if pod_name else None,
        node=_text(item, "nodeName"),
    )


def _health(conditions: Mapping[str, Any]) -> Health:
    """`ready` says whether it gets requests, publishNotReadyAddresses included; a missing one means yes, as the API says."""
    if conditions.get("ready") in {None, True}:
        return Health.HEALTHY
    if conditions.get("terminating") is True and conditions.get("serving") in {None, True}:
        return Health.DRAINING
    return Health.UNHEALTHY


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise MalformedError(f"{text!r} is not an IP address") from None


def _mapping_itself(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError("it is not an object where the API has one")
    return value


def _mapping(item: Any, field: str) -> Mapping[str, Any]:
    value = _mapping_itself(item).get(field)
    return {} if value is None else _mapping_itself(value)


def _list(item: Mapping[str, Any], field: str) -> list[Any]:
    value = item.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedError(f"{field} is not a list")
    return value


def _text(item: Mapping[str, Any], field: str) -> str:
    value = item.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedError(f"{field} is not a string")
    return value


def _texts(item: Mapping[str, Any], field: str) -> tuple[str, ...]:
    values = _list(item, field)
    if not all(isinstance(value, str) for value in values):
        raise MalformedError(f"{field} is not a list of strings")
    return tuple(values)


def _labels(item: Mapping[str, Any], field: str) -> Mapping[str, str]:
    values = _mapping(item, field)
    if not all(isinstance(value, str) for value in values.values()):
        raise MalformedError(f"{field} has a value that is not a string")
    return cast("Mapping[str, str]", values)


def _number(item: Mapping[str, Any], field: str) -> int:
    value = item.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:  # noqa: PLR2004 -- ports
        raise MalformedError(f"{field} is not a port's number")
    return value
