"""What of a service that an adapter found can be used at all: rules for `intake`. Pure.

They hold for every registry: what breaks one would make Envoy refuse what it is part of, or can't be written down. Whether an
instance fits its service is for the merge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from reconciler.model.discovered import Found, Instance
from reconciler.model.hosts import is_address, is_network
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health, Port

T = TypeVar("T")

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_LONGEST_HOST = 253
_HIGHEST_PORT = 65535
_HEAVIEST = 4294967295
_LONGEST_PATH = 107
"""Bytes of the path of a Unix socket: Linux has 108, and ends it with a zero."""

_LONGEST_TEXT = 1024
"""Characters of anything but a label."""

_REMEMBERED = 100_000
"""Addresses of which it is known whether they are any."""

_SOCKET = "unix://"
_SHOWN = 60
_TYPES = (TypeError, ValueError, AttributeError)
"""What looking at a value of another type than it should have raises."""


class NonsenseError(ValueError):
    """Something that can't be used, in words."""


def service(found: Found, before: Found | None = None) -> tuple[Found, tuple[str, ...]]:
    """What of a service can be used, the same object if that is all of it; and why the rest can't.

    Args:
        found: As the registry has it.
        before: What this returned for it a moment ago: that need not be looked at again.

    Raises:
        NonsenseError: Nothing of it can.
    """
    if not _is_name(found.host) or is_address(found.host):
        raise NonsenseError("that is not the name of a host, in lower case")
    if not _is_text(found.namespace) or not found.namespace or "/" in found.namespace:
        raise NonsenseError(f"{_shown(found.namespace)} is no namespace")
    if not isinstance(found.resolution, Resolution):
        raise NonsenseError(f"{_shown(found.resolution)} is no resolution")
    if found.selector is not None and not _are_texts(found.selector):
        raise NonsenseError("its selector is no mapping of strings")
    wrong: list[str] = []
    ports = _kept(found.ports, _port, wrong)
    addresses = _kept(found.addresses, _virtual, wrong)
    instances = found.instances
    if before is None or instances is not before.instances:
        known = {id(each) for each in before.instances} if before is not None else set()
        instances = _kept(instances, lambda each: each if id(each) in known else _instance(each), wrong)
    if ports is found.ports and addresses is found.addresses and instances is found.instances:
        return found, tuple(wrong)
    return replace(found, ports=ports, addresses=addresses, instances=instances), tuple(wrong)


def _kept(items: tuple[T, ...], judge: Callable[[T], T], wrong: list[str]) -> tuple[T, ...]:
    """Those that can be used; the same object if all can, as they are."""
    if not isinstance(items, tuple):
        raise NonsenseError(f"{_shown(items)} is no tuple")
    kept: list[T] = []
    for item in items:
        try:
            kept.append(judge(item))
        except _TYPES as error:
            wrong.append(str(error) if isinstance(error, NonsenseError) else f"{_shown(item)} makes no sense")
    same = len(kept) == len(items) and all(one is other for one, other in zip(kept, items, strict=True))
    return items if same else tuple(kept)


def _port(port: Port) -> Port:
    if not (_is_port(port.number) and _is_port(port.target)):
        raise NonsenseError(f"port {_shown(port.number)} to {_shown(port.target)} is none")
    if not _is_text(port.name) or not port.name or not isinstance(port.protocol, Protocol):
        raise NonsenseError(f"port {port.number} has no name, or no protocol")
    return port


def _virtual(address: str) -> str:
    """Where callers expect the service. Everywhere is nowhere: one listener there would take what is for all others."""
    if not (is_address(address) or is_network(address)) or "%" in address:
        raise NonsenseError(f"the address {_shown(address)} is none")
    network = ip_network(address)
    if network.prefixlen == 0 or network.network_address.is_unspecified:
        raise NonsenseError(f"the address {_shown(address)} is everywhere")
    return address


def _instance(given: Instance) -> Instance:
    """An instance, with a weight and ports that Envoy takes."""
    if fault := _fault_of(given.address):
        raise NonsenseError(fault)
    texts = (given.locality, given.network, given.service_account, given.name)
    if not all(_is_text(each) for each in texts) or not _are_texts(given.labels):
        raise NonsenseError(f"{given.address} is described by something else than text")
    if not isinstance(given.health, Health):
        raise NonsenseError(f"{given.address} has health {_shown(given.health)}, which is none of {', '.join(Health)}")
    if not isinstance(given.weight, int):
        raise NonsenseError(f"{given.address} has weight {_shown(given.weight)}, which is no number")
    for name, number in given.ports.items():
        if not (_is_text(name) and _is_port(number)):
            raise NonsenseError(f"{given.address} has port {_shown(number)}, which is none")
    weight = min(max(given.weight, 1), _HEAVIEST)
    return given if weight == given.weight else replace(given, weight=weight)


@lru_cache(maxsize=_REMEMBERED)
def _fault_of(address: str) -> str:
    """Why no instance can be there, in words; "" if one can."""
    if not _is_text(address):
        return f"{_shown(address)} is no address"
    if address.startswith(_SOCKET):
        path = address.removeprefix(_SOCKET)
        if path.startswith(("/", "@")) and len(path.encode()) <= _LONGEST_PATH:
            return ""
        return f"{_shown(address)} is no socket: its path is absolute, and has at most {_LONGEST_PATH} bytes"
    if is_address(address):
        parsed = ip_address(address)
        return f"{address} is the address of nobody" if parsed.is_unspecified or parsed.is_multicast else ""
    return "" if _is_name(address.lower().removesuffix(".")) else f"{_shown(address)} is no address"


def _is_name(host: object) -> bool:
    return isinstance(host, str) and len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None


def _is_port(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= _HIGHEST_PORT


def _is_text(value: object) -> bool:
    """Whether it is short enough, and is in UTF-8 what it is here: JSON can say half a character."""
    return isinstance(value, str) and (not value or (len(value) <= _LONGEST_TEXT and value.isprintable()))


def _are_texts(values: object) -> bool:
    """Whether these are strings that can be written in UTF-8."""
    if not isinstance(values, Mapping):
        return False
    try:
        "".join((*values, *values.values())).encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return True


def _shown(value: Any) -> str:
    return f"{value!a}"[:_SHOWN]
