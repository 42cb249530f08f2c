"""What etcd's keys and values mean: from them to services. Pure: it asks nobody.

A key is `<prefix><service>/<instance>`; a value is one of three, told apart by its form:

- gRPC's (`go.etcd.io/etcd/client/v3/naming/endpoints`): `{"Op": 0, "Addr": "10.0.0.1:8080", "Metadata": ...}`.
- Kitex's: `{"network": "tcp", "address": "10.0.0.1:8080", "weight": 10, "tags": {"version": "v2"}}`; tags are labels.
- go-zero's: `10.0.0.1:8080`.

gRPC leaves `Metadata` to the application. Where it is an object, these fields of it mean something here; others are nobody's business:

============  ==============================================================
`weight`      From 1 to 4294967295, relative to the service's other instances; 1 by default
`labels`      An object of strings: what subsets select on
`locality`    `region`, `region/zone` or `region/zone/subzone`
`health`      `healthy` (the default), `unhealthy` or `draining`
`network`     Where the address can be reached; everywhere by default
============  ==============================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.discovered import Found, Instance
from reconciler.model.discovery import Etcd
from reconciler.model.hosts import fqdn, is_address
from reconciler.model.services import Health, Port

_HIGHEST_PORT = 65535
_HEAVIEST = 4294967295
_DELETED = 1
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
_LOCALITY = re.compile("[^/]+(/[^/]+){0,2}")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_LONGEST_HOST = 253
_SHOWN = 80


class NonsenseError(ValueError):
    """A key or a value that can't be used, in words."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key that can be used: an instance of a host."""

    host: str
    instance: Instance


def entry(key: bytes, value: bytes, spec: Etcd, *, domain: str) -> Entry | None:
    """The instance that a key stands for; None where the value says that there is none (gRPC's `Op` 1).

    Raises:
        NonsenseError: It stands for nothing; names the key.
    """
    name = key.decode("utf-8", "backslashreplace")
    try:
        found = _instance(name, value, spec)
        if found is None:
            return None
        service = name.removeprefix(spec.prefix).rpartition("/")[0]
        return Entry(_host(service, found.labels, spec, domain), found)
    except NonsenseError as error:
        raise NonsenseError(f"key {name[:_SHOWN]!r}: {error}") from None


def service(host: str, instances: Iterable[Instance], spec: Etcd) -> Found:
    """A service of these instances, in a fixed order."""
    return Found(
        host=host,
        instances=tuple(sorted(instances, key=lambda each: (each.address, *each.ports.values(), each.name))),
        namespace=spec.namespace,
        ports=tuple(
            Port(port.number, port.name, port.protocol, port.target_port or port.number) for port in spec.ports
        ),
    )


def _host(path: str, labels: Mapping[str, str], spec: Etcd, domain: str) -> str:
    short = spec.host or (labels.get(spec.host_label, "") if spec.host_label else path)
    if not short:
        missing = f"no label {spec.host_label!r}" if spec.host_label else "no service before its last slash"
        raise NonsenseError(missing)
    host = fqdn(short.lower().removesuffix("."), namespace=spec.namespace, domain=domain)
    if not _HOST.fullmatch(host) or len(host) > _LONGEST_HOST:
        raise NonsenseError(f"{short[:_SHOWN]!r} is not a host")
    return host


def _instance(key: str, value: bytes, spec: Etcd) -> Instance | None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise NonsenseError("the value is not UTF-8") from None
    document: Any = {"Addr": text.strip()}
    if text.lstrip().startswith(("{", "[", '"')) and not _ADDRESS.fullmatch(text.strip()):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise NonsenseError("the value is neither JSON nor address:port") from None
    if not isinstance(document, dict):
        raise NonsenseError("the value is no object")
    if document.get("Op") == _DELETED:
        return None
    if "Addr" in document:
        metadata = document.get("Metadata")
        address, more = document["Addr"], metadata if isinstance(metadata, dict) else {}
    elif "address" in document:
        address, more = document["address"], {"weight": document.get("weight") or 1, "labels": document.get("tags")}
    else:
        raise NonsenseError("the value has neither `Addr` nor `address`")
    where, port = _address(address)
    return Instance(
        address=where,
        ports={spec.port: port},
        labels=_labels(more.get("labels")),
        weight=_weight(more.get("weight")),
        health=_health(more.get("health")),
        locality=_text(more.get("locality"), "locality", _LOCALITY),
        network=_text(more.get("network"), "network", re.compile(".+")),
        name=key.rpartition("/")[2],
    )


def _address(value: Any) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise NonsenseError(f"{str(value)[:_SHOWN]!r} is not address:port")
    where, port = match["six"] or match["four"], int(match["port"])
    if not is_address(where) or (match["six"] is None) == (":" in where):
        raise NonsenseError(f"{where[:_SHOWN]!r} is no IP address")
    if not 1 <= port <= _HIGHEST_PORT:
        raise NonsenseError(f"{port} is no port")
    return where, port


def _labels(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise NonsenseError("its labels are no object of strings")
    return dict(sorted(value.items()))


def _weight(value: Any) -> int:
    if value is None:
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _HEAVIEST:
        raise NonsenseError(f"its weight {str(value)[:20]} is not from 1 to {_HEAVIEST}")
    return value


def _health(value: Any) -> Health:
    try:
        return Health.HEALTHY if value is None else Health(value)
    except ValueError:
        raise NonsenseError(f"its health {str(value)[:20]!r} is none of {', '.join(Health)}") from None


def _text(value: Any, name: str, form: re.Pattern[str]) -> str:
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not form.fullmatch(value):
        raise NonsenseError(f"its {name} {str(value)[:_SHOWN]!r} is none")
    return value
