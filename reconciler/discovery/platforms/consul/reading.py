"""What Consul's answers mean: from its JSON to services. Pure: it asks nobody and remembers nothing.

The mapping is that of Istio's former Consul registry wherever that had one: host `<service>.service.<domain>`, labels from tags
`key|value`, protocol from the meta key `protocol`, TCP by default, the datacenter as region. Beyond it:

=====================================  ==================================================================================
Meta of the service, tags `key=value`  Labels too; a tag counts more than meta
Check `critical`                       UNHEALTHY: listed, and not used
Check `warning`                        HEALTHY, with the weight that the service has for it (`Weights.Warning`); 0 is DRAINING
Maintenance of a service or node       DRAINING, whatever else its checks say
`Locality` of the service or its node  Region and zone, where Consul knows more than the datacenter
`Kind` other than a plain service      Not listed: proxies and gateways of Consul's own mesh
=====================================  ==================================================================================

A service's ports are those that its instances have: with one, instances serve whatever the service calls its port; with several
each instance serves the one that has its number. `Consul.port` is the only port instead, where every instance has a port of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.discovered import ANY_PORT, Found, Instance
from reconciler.model.discovery import Consul
from reconciler.model.hosts import is_address
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health, Port

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_LONGEST_HOST = 253
_HIGHEST_PORT = 65535
_HEAVIEST = 4294967295
_NODE_MAINTENANCE = "_node_maintenance"
_SERVICE_MAINTENANCE = "_service_maintenance:"
_PROTOCOL = "protocol"


class NonsenseError(ValueError):
    """Something of an answer that can't be used, in words."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One usable instance, as `/v1/health/service/<name>` lists it.

    Attributes:
        instance: Without ports.
        port: Its own.
        protocol: What it says that it speaks.
        node: On which it runs.
    """

    instance: Instance
    port: int
    protocol: Protocol
    node: str

    @property
    def order(self) -> tuple[str, int, str]:
        """What instances are sorted by."""
        return (self.instance.address, self.port, self.instance.name)


@dataclass(frozen=True, slots=True)
class Entries:
    """All instances of one name.

    Attributes:
        usable: In a fixed order.
        problems: Why others are left out.
    """

    usable: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()


def host_of(name: str, domain: str) -> str:
    """The host of a service.

    Raises:
        NonsenseError: No host name can be made of its name.
    """
    host = f"{name}.service.{domain}".lower().removesuffix(".")
    if not _HOST.fullmatch(host) or len(host) > _LONGEST_HOST:
        raise NonsenseError(f"service {name[:80]!r}: its name is not part of a host name")
    return host


def entries(document: Any, name: str) -> Entries:
    """What `/v1/health/service/<name>` says; entries of Consul's own mesh are not in it.

    Raises:
        NonsenseError: It is no list of instances at all.
    """
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise NonsenseError(f"the instances of {name!r} are no list of objects")
    usable: list[Entry] = []
    problems: list[str] = []
    for item in document:
        try:
            entry = _entry(item)
        except NonsenseError as error:
            problems.append(f"an instance of {name}: {error}")
        else:
            usable += [] if entry is None else [entry]
    return Entries(tuple(sorted(usable, key=lambda each: each.order)), tuple(sorted(problems)))


def found(host: str, given: Iterable[Entry], spec: Consul) -> tuple[Found, tuple[str, ...]]:
    """A service of these instances, and what of them can't be used.

    Args:
        host: Of the service.
        given: At least one.
        spec: Names the namespace, and perhaps the port.
    """
    every = sorted(given, key=lambda each: each.order)
    names = [each for each in every if not is_address(each.instance.address)]
    resolution = Resolution.DNS if len(names) == len(every) else Resolution.STATIC
    used = every if resolution is Resolution.DNS else [each for each in every if is_address(each.instance.address)]
    problems = (
        [] if used is every else [f"{host}: {each.instance.address} is no IP address, as others are" for each in names]
    )
    protocols: dict[int, Protocol] = {}
    for each in used:
        number = spec.port or each.port
        if protocols.setdefault(number, each.protocol) is not each.protocol:
            problems.append(f"{host}: its instances do not agree on the protocol of port {number}")
    ports = tuple(
        Port(number=number, name=f"{protocol.lower()}-{number}", protocol=protocol, target=number)
        for number, protocol in sorted(protocols.items())
    )
    by_number = {port.number: port.name for port in ports} if len(ports) > 1 else {}
    instances = tuple(_with_port(each, by_number.get(each.port, ANY_PORT)) for each in used)
    service = Found(host=host, instances=instances, namespace=spec.namespace, ports=ports, resolution=resolution)
    return service, tuple(dict.fromkeys(problems))


def _with_port(entry: Entry, name: str) -> Instance:
    given = entry.instance
    return Instance(
        address=given.address,
        ports={name: entry.port},
        labels=given.labels,
        weight=given.weight,
        health=given.health,
        locality=given.locality,
        name=given.name,
    )


def _entry(item: Mapping[str, Any]) -> Entry | None:
    service, node = _part(item, "Service"), _part(item, "Node")
    if service.get("Kind"):
        return None
    address = service.get("Address") or node.get("Address")
    if not isinstance(address, str) or not address:
        raise NonsenseError("neither it nor its node has an address")
    port = service.get("Port")
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= _HIGHEST_PORT:
        raise NonsenseError(f"{address} has port {str(port)[:20]}, which is none")
    meta = _texts(service.get("Meta") or {})
    health, weight = _health(item.get("Checks") or (), service.get("Weights") or {})
    instance = Instance(
        address=address,
        ports={},
        labels=_labels(meta, service.get("Tags") or ()),
        weight=weight,
        health=health,
        locality=_locality(service, node),
        name=str(service.get("ID") or ""),
    )
    return Entry(instance, port, _protocol(meta.get(_PROTOCOL, ""), address), str(node.get("Node") or ""))


def _part(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = item.get(name)
    if not isinstance(part, dict):
        raise NonsenseError(f"has no {name}")
    return part


def _texts(given: Any) -> dict[str, str]:
    return {key: value for key, value in given.items() if isinstance(value, str)} if isinstance(given, dict) else {}


def _labels(meta: Mapping[str, str], tags: Iterable[Any]) -> dict[str, str]:
    labels = dict(meta)
    for tag in tags:
        key, mark, value = re.split(r"([|=])", str(tag), maxsplit=1) if re.search(r"[|=]", str(tag)) else ("", "", "")
        if mark and key:
            labels[key] = value
    return dict(sorted(labels.items()))


def _protocol(text: str, address: str) -> Protocol:
    try:
        return Protocol(text.upper()) if text else Protocol.TCP
    except ValueError:
        known = ", ".join(each.lower() for each in Protocol)
        raise NonsenseError(f"{address} speaks {text[:20]!r}; `protocol` is one of {known}") from None


def _health(checks: Any, weights: Any) -> tuple[Health, int]:
    """As Consul sums up checks: maintenance, critical, warning, passing; whatever comes first counts."""
    given = [check for check in checks if isinstance(check, dict)]
    wrong = {
        str(check.get("CheckID") or ""): check.get("Status") for check in given if check.get("Status") != "passing"
    }
    weigh = weights if isinstance(weights, dict) else {}
    passing = _weight(weigh.get("Passing"))
    if any(each == _NODE_MAINTENANCE or each.startswith(_SERVICE_MAINTENANCE) for each in wrong):
        return Health.DRAINING, max(1, passing)
    if any(status != "warning" for status in wrong.values()):
        return Health.UNHEALTHY, max(1, passing)
    weight = _weight(weigh.get("Warning")) if wrong else passing
    return (Health.HEALTHY if weight else Health.DRAINING), max(1, weight)


def _weight(value: Any) -> int:
    """From 0; 1 if it is not said, as in Consul."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 1
    return min(max(0, value), _HEAVIEST)


def _locality(service: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    for place in (service.get("Locality"), node.get("Locality")):
        if isinstance(place, dict) and place.get("Region"):
            return "/".join(str(part) for part in (place["Region"], place.get("Zone")) if part)
    return str(node.get("Datacenter") or "")
