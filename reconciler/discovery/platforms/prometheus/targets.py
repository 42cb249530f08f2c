"""Prometheus's target groups as services: what `file_sd` and `http_sd` have in common. Pure: it reads no file and asks nobody.

The format is Prometheus's (https://prometheus.io/docs/prometheus/latest/http_sd/): a list of groups, each with targets that
share labels, and nothing else::

    [{"targets": ["10.0.0.1:8080", "[fd00::1]:8080"], "labels": {"job": "reviews", "version": "v2"}}]

A target is an instance, `address:port`. Its service is `Naming.host`, or else what the label `Naming.host_label` says. The labels of
a group are its instances' labels, but for those that begin with `__`: Prometheus itself drops these once it has used them. Some
mean something here:

==========================  ===========================================================================
`__weight__`                From 1 to 4294967295, relative to the service's other instances; 1 by default
`__locality__`              `region`, `region/zone` or `region/zone/subzone`
`__health__`                `healthy` (the default), `unhealthy` or `draining`
`__network__`               Where the address can be reached; everywhere by default
`__service_account__`       Of its identity
`__port_name__`             Name of the service's port that the target's port is; `Naming.port` by default
==========================  ===========================================================================

All others, such as `__meta_...`, `__scheme__` and `__metrics_path__`, are about scraping, and mean nothing here.

Where Prometheus refuses a whole list for one group that makes no sense, that group is left out here, and named.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.discovery.contract import AdapterError, Gone, Put
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found, Instance
from reconciler.model.discovery import Naming
from reconciler.model.hosts import fqdn, is_address
from reconciler.model.serviceentry import ServicePort
from reconciler.model.services import Health, Port

LARGEST = 32 * 1024 * 1024
"""Bytes of a list that is read; ten thousand targets have about 1 MB."""

_HIGHEST_PORT = 65535
_HEAVIEST = 4294967295
_LONGEST_HOST = 253
_TARGET = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[^\[\]:]+)):(?P<port>.+)")
_PORT = re.compile("[0-9]{1,5}")
_WEIGHT = re.compile("[0-9]{1,10}")
_LOCALITY = re.compile("[^/]+(/[^/]+){0,2}")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_FIELDS = frozenset({"targets", "labels"})
_SHOWN = 80


class TargetsError(AdapterError):
    """A text is no list of target groups; nothing of it is used."""

    default_code = "discovery-targets"


_Labelled = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Listing:
    """What one list of target groups says.

    Attributes:
        entries: Host and instance, as they are written; None for a group without targets, which names a service with no instances.
        problems: What is left out of it.
        made: Instances by target, for each host and labels: what the next list has too need not be made again.
    """

    entries: tuple[tuple[str, Instance | None], ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    made: Mapping[_Labelled, Mapping[str, Instance]] = field(default_factory=dict, compare=False, repr=False)


class _NonsenseError(ValueError):
    """Why a group or a target is left out, and what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def from_json(text: bytes, *, source: str) -> Any:
    """The values of a JSON text.

    Raises:
        TargetsError: It is no JSON in UTF-8, has a key twice, or is nested absurdly deep.
    """
    try:
        return json.loads(text.decode("utf-8-sig"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise TargetsError(f"{source}: byte {error.start} is not UTF-8", hint="write it as UTF-8") from None
    except RecursionError:
        raise TargetsError(f"{source}: nested too deeply", hint="write a list of target groups") from None
    except ValueError as error:
        raise TargetsError(f"{source}: not JSON: {error}", hint="write a list of target groups as JSON") from None


def read(document: Any, naming: Naming, *, source: str, domain: str, before: Listing | None = None) -> Listing:
    """What a list of target groups says.

    Args:
        document: Plain values, as they are in JSON.
        naming: Which service a target belongs to.
        source: A file or URL, for messages.
        domain: The mesh's, for short hosts.
        before: What the same source said before, with the same naming.

    Raises:
        TargetsError: It is no list. What makes no sense inside it is a problem of the result.
    """
    if not isinstance(document, list):
        what = "empty" if document is None else "no list of target groups"
        raise TargetsError(
            f"{source}: {what}", hint='write [{"targets": ["address:port"], "labels": {}}], or [] for none'
        )
    entries: list[tuple[str, Instance | None]] = []
    problems: list[Diagnostic] = []
    made: dict[_Labelled, dict[str, Instance]] = {}
    for index, group in enumerate(document):
        try:
            host, labels, targets = _group(group, naming, domain)
            pattern = _pattern(labels, naming)
        except _NonsenseError as error:
            problems.append(_problem(f"{source}: group {index}: {error}", error.hint))
            continue
        if not targets:
            entries.append((host, None))
        labelled = (host, tuple(sorted(labels.items())))
        known = {} if before is None else before.made.get(labelled, {})
        own = made.setdefault(labelled, {})
        for target in targets:
            try:
                found = (own.get(target) or known.get(target)) if isinstance(target, str) else None
                instance = found or _instance(target, pattern)
            except _NonsenseError as error:
                problems.append(_problem(f"{source}: group {index}: {error}", error.hint))
            else:
                own[target] = instance
                entries.append((host, instance))
    return Listing(tuple(entries), tuple(problems), made)


def services(
    listings: Iterable[Listing], naming: Naming, *, domain: str
) -> tuple[dict[str, Found], tuple[Diagnostic, ...]]:
    """The services of several lists by host, with their instances sorted; and what can't be used of all of them.

    Of one address and port that a host has twice, the first counts; that is a problem if the second says something else.
    """
    hosts: dict[str, dict[tuple[str, int], Instance]] = {}
    problems: list[Diagnostic] = []
    if naming.host:
        try:
            hosts[_host(naming.host, naming, domain)] = {}
        except _NonsenseError as error:
            problems.append(_problem(f"host: {error}", error.hint))
    for listing in listings:
        problems += listing.problems
        for host, instance in listing.entries:
            instances = hosts.setdefault(host, {})
            if instance is None:
                continue
            (port,) = instance.ports.values()
            first = instances.setdefault((instance.address, port), instance)
            if first is not instance and first != instance:
                message = f"{host} has {_joined(instance.address, port)} twice with different labels; the first counts"
                problems.append(_problem(message, "list a target of a service once"))
    ports = tuple(_port(port) for port in naming.ports)
    found = {
        host: Found(
            host=host,
            instances=tuple(instances[key] for key in sorted(instances)),
            namespace=naming.namespace,
            ports=ports,
        )
        for host, instances in sorted(hosts.items())
    }
    return found, tuple(problems)


def changes(old: Mapping[str, Found], new: Mapping[str, Found]) -> Iterator[Put | Gone]:
    """What turns the old services into the new ones."""
    for host, service in new.items():
        if old.get(host) != service:
            yield Put(service)
    for host in old:
        if host not in new:
            yield Gone(host)


def summary(problems: tuple[Diagnostic, ...]) -> Diagnostic | None:
    """One message for many: the first, and how many more there are."""
    if len(problems) < 2:  # noqa: PLR2004 -- one is its own summary
        return problems[0] if problems else None
    return replace(problems[0], message=f"{problems[0].message}; and {len(problems) - 1} more like it")


def _group(group: Any, naming: Naming, domain: str) -> tuple[str, dict[str, str], list[Any]]:
    """A group's host, labels and targets."""
    hint = 'a group has "targets", a list, and may have "labels"'
    if not isinstance(group, dict):
        raise _NonsenseError("not a target group", hint)
    unknown = sorted(group.keys() - _FIELDS)
    if unknown:
        raise _NonsenseError(f"a target group has no field {_shown(unknown[0])}", hint)
    targets, labels = group.get("targets"), group.get("labels")
    if not isinstance(targets, list):
        raise _NonsenseError("has no list of targets", hint)
    labels = {} if labels is None else labels
    if not isinstance(labels, dict):
        raise _NonsenseError("its labels are no mapping", hint)
    for name, value in labels.items():
        if not isinstance(value, str):
            raise _NonsenseError(f"the value of the label {_shown(name)} is not a string", "quote it")
    name = naming.host or labels.get(naming.host_label, "")
    if not name:
        raise _NonsenseError(
            f"has no label {_shown(naming.host_label)}, which says what service its targets belong to",
            "add the label, or set host or hostLabel of the registry",
        )
    return _host(name, naming, domain), labels, targets


def _host(name: str, naming: Naming, domain: str) -> str:
    host = fqdn(name.lower().removesuffix("."), namespace=naming.namespace, domain=domain)
    if len(host) > _LONGEST_HOST or _HOST.fullmatch(host) is None or is_address(host):
        raise _NonsenseError(
            f"{_shown(name)} is not the name of a host", "name a host, such as reviews or reviews.example.com"
        )
    return host


def _pattern(labels: Mapping[str, str], naming: Naming) -> Instance:
    """An instance with all that a group's labels say; its address is filled in by `_instance`, and so is the number of its port."""
    weight, locality, health = (labels.get(f"__{name}__", "") for name in ("weight", "locality", "health"))
    if weight and not (_WEIGHT.fullmatch(weight) and 1 <= int(weight) <= _HEAVIEST):
        hint = "to take an instance out of use, set __health__ to draining" if weight == "0" else "write a whole number"
        raise _NonsenseError(f"__weight__ is {_shown(weight)}, not from 1 to {_HEAVIEST}", hint)
    if locality and _LOCALITY.fullmatch(locality) is None:
        raise _NonsenseError(f"__locality__ is {_shown(locality)}", "write region, region/zone or region/zone/subzone")
    if health and health not in set(Health):
        raise _NonsenseError(f"__health__ is {_shown(health)}", f"write {', '.join(Health)}")
    return Instance(
        address="",
        ports={labels.get("__port_name__", "") or naming.port: 0},
        labels={name: value for name, value in sorted(labels.items()) if not name.startswith("__")},
        weight=int(weight or 1),
        locality=locality,
        health=Health(health or Health.HEALTHY),
        network=labels.get("__network__", ""),
        service_account=labels.get("__service_account__", ""),
    )


def _instance(target: Any, pattern: Instance) -> Instance:
    if not isinstance(target, str):
        raise _NonsenseError(
            f"the target {_shown(json.dumps(target))} is not a string", "write it as address:port, quoted"
        )
    parts = _TARGET.fullmatch(target)
    if parts is None:
        raise _NonsenseError(f"the target {_shown(target)} has no port", "write 10.0.0.1:8080 or [fd00::1]:8080")
    six, address, port = parts["six"], parts["six"] or parts["four"], parts["port"]
    if not is_address(address) or (six is None) is (":" in address):
        raise _NonsenseError(
            f"the target {_shown(target)} is not an IP address with a port",
            "list IP addresses; a registry of the kind dns looks names up",
        )
    if not (_PORT.fullmatch(port) and 1 <= int(port) <= _HIGHEST_PORT):
        raise _NonsenseError(f"the target {_shown(target)} has a port that is none", "a port is from 1 to 65535")
    (name,) = pattern.ports
    return Instance(
        address=ipaddress.ip_address(address).compressed if six else address,
        ports={name: int(port)},
        labels=pattern.labels,
        weight=pattern.weight,
        locality=pattern.locality,
        health=pattern.health,
        network=pattern.network,
        service_account=pattern.service_account,
    )


def _port(port: ServicePort) -> Port:
    return Port(port.number, port.name, port.protocol, port.target_port or port.number)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {_shown(twice)} stands twice in one object")
    return out


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _problem(message: str, hint: str) -> Diagnostic:
    return Diagnostic(code="discovery-targets", message=message, hint=hint)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
