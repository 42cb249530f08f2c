"""How fast one peer or one token may ask: token buckets, in bounded memory. Knows nothing of HTTP."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass

from reconciler.clock import Clock

_MOST_KEYS = 10_000
_WHOLE_NETWORK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A bucket's size and how fast it fills.

    Attributes:
        burst: Requests at once, after a rest.
        per_second: Requests in the long run.
    """

    burst: float
    per_second: float


class Buckets:
    """One bucket for each key. The key that was seen longest ago is forgotten where there are too many.

    Args:
        rate: Of every bucket.
        clock: What they fill by.
        most: Keys that are remembered.
    """

    def __init__(self, rate: Rate, clock: Clock, *, most: int = _MOST_KEYS) -> None:
        self._rate = rate
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float = 1.0) -> float:
        """Take from a bucket. Returns 0, or the seconds after which there is enough; then nothing was taken."""
        now = self._clock.monotonic()
        with self._lock:
            level, since = self._levels.pop(key, (self._rate.burst, now))
            level = min(self._rate.burst, level + (now - since) * self._rate.per_second)
            enough = level >= cost
            self._levels[key] = (level - cost if enough else level, now)
            while len(self._levels) > self._most:
                self._levels.popitem(last=False)
        return 0.0 if enough else (cost - level) / self._rate.per_second


def is_here(peer: str) -> bool:
    """Whether a peer is on this machine, by its address."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def stranger(peer: str) -> str:
    """Who shares a limit on what is held at the same time; "" where there is none, on this machine: a proxy for many, or a probe."""
    return "" if not peer or is_here(peer) else network_of(peer)


def network_of(peer: str) -> str:
    """What counts as one peer: an IPv4 address, or the 64 bits of an IPv6 network, which its owner may fill at will."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _WHOLE_NETWORK), strict=False))
    return str(address)
