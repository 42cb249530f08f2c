"""Two sockets on one address and port: found before an Envoy fails to bind, or calls itself in a circle.

Sockets of one proxy always meet. Those of two proxies meet if both are certainly on one machine: their workloads have one
address, or both are reached by loopback addresses. Of other proxies nothing is known, and nothing is claimed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from reconciler.model.key import Key
from reconciler.model.origin import FieldPath, Finding, Origin

_LOOPBACK = "loopback"


class Fixed(IntEnum):
    """How deliberate a socket's place is: of two, the more deliberate one's document is pointed at, being easy to mend."""

    DERIVED = 0
    WORKLOAD = 1
    WRITTEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """An address and port that something binds.

    Attributes:
        what: For messages: `the outbound listener of default/a`.
        listener: Whether an Envoy of ours opens it, rather than an application.
        origin: The document that puts it there.
        path: The value in that document.
    """

    address: str
    port: int
    what: str
    listener: bool
    fixed: Fixed
    origin: Origin
    path: FieldPath

    def overlaps(self, other: Socket) -> bool:
        """Whether both can't be bound, or can't be told apart: `0.0.0.0` and `::` include all addresses of their family."""
        if self.port != other.port:
            return False
        mine, theirs = ipaddress.ip_address(self.address), ipaddress.ip_address(other.address)
        wild = mine.is_unspecified or theirs.is_unspecified
        return mine == theirs or (wild and mine.version == theirs.version)


def port_clashes(sockets: Mapping[Key, Sequence[Socket]], places: Mapping[Key, str]) -> tuple[Finding, ...]:
    """Every socket that is in the way of another, once, as an error.

    Args:
        sockets: By proxy.
        places: Where a proxy is known to be: an address; proxies without one stand alone.
    """
    machines: dict[str, list[Socket]] = {}
    for proxy in sorted(sockets):
        machines.setdefault(_machine(proxy, places), []).extend(sockets[proxy])
    found = {finding: None for name in sorted(machines) for finding in _clashes(machines[name])}
    return tuple(found)


def _machine(proxy: Key, places: Mapping[Key, str]) -> str:
    address = places.get(proxy)
    if address is None:
        return f"proxy {proxy}"
    return _LOOPBACK if ipaddress.ip_address(address).is_loopback else address


class _Taken:
    """Sockets so far, found by address: a sidecar may have thousands on one port.

    For each address, for each family's `0.0.0.0` or `::`, and for each whole family: the first socket, and the first listener.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[int, str, bool], tuple[int, Socket]] = {}
        self._count = 0

    def clash(self, socket: Socket) -> Socket | None:
        """The first earlier socket in the way of this one, which is taken in; two applications are none of our business."""
        address = ipaddress.ip_address(socket.address)
        family, wild = f"all of IPv{address.version}", f"any of IPv{address.version}"
        looked = (family,) if address.is_unspecified else (wild, str(address))
        keys = [(socket.port, place, not socket.listener) for place in looked]
        found = min((self._first[key] for key in keys if key in self._first), key=lambda item: item[0], default=None)
        self._count += 1
        own = (family, wild if address.is_unspecified else str(address))
        for place in own:
            for listening in (False, True) if socket.listener else (False,):
                self._first.setdefault((socket.port, place, listening), (self._count, socket))
        return found[1] if found else None


def _clashes(sockets: Iterable[Socket]) -> Iterable[Finding]:
    """For each socket, the first earlier one in its way: naming all pairs of fifty would help nobody."""
    taken = _Taken()
    for socket in sockets:
        other = taken.clash(socket)
        if other is not None:
            yield _finding(other, socket)


def _finding(one: Socket, other: Socket) -> Finding:
    mend, stay = (one, other) if one.fixed > other.fixed else (other, one)
    place = f"[{mend.address}]" if ":" in mend.address else mend.address
    return Finding(
        code="port-clash",
        message=f"{mend.what} and {stay.what} are both on {place}:{mend.port}",
        hint="give one of them another port or address; a Sidecar's `ingress` (`port`, `bind`, `defaultEndpoint`) and "
        "`egress` (`port`, `bind`) say where a sidecar listens and where its application is",
        origin=mend.origin,
        path=mend.path,
    )
