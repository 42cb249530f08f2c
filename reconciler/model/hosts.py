"""Host names as Istio resolves and matches them."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_left
from collections.abc import Iterable

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


def is_address(host: str) -> bool:
    """Whether this is an IP address rather than a name. One with a zone (`fe80::1%eth0`) is none: Envoy refuses listeners on it."""
    if ":" not in host:  # most hosts are names or IPv4 addresses, and are told quickly
        return _IPV4.fullmatch(host) is not None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def is_network(text: str) -> bool:
    """Whether this is an IP address, or a network as `10.0.0.0/8`, whose host bits are 0."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def fqdn(host: str, *, namespace: str, domain: str) -> str:
    """The full name of a host written in a policy of this namespace.

    A name without a dot becomes `<host>.<namespace>.svc.<domain>` (Istio's `ResolveShortnameToFQDN`); names with dots, IP
    addresses and wildcards are left as they are.
    """
    if "." in host or "*" in host or ":" in host or not host:
        return host
    return f"{host}.{namespace}.svc.{domain}"


def covers(pattern: str, host: str) -> bool:
    """Whether a host or wildcard pattern (`*`, `*.example.com`) includes a host, which may be a wildcard itself.

    As in Istio, `*.example.com` does not include `example.com`.
    """
    if pattern in {"*", host}:
        return True
    if not pattern.startswith("*"):
        return False
    return host.removeprefix("*").endswith(pattern[1:]) and len(host) > len(pattern) - 1


class HostSet:
    """Hosts and patterns, found by what they cover and by what covers them without looking at each: anybody may write thousands.

    Args:
        hosts: In any order, which is that of the answers.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._order = {host: number for number, host in enumerate(dict.fromkeys(hosts))}
        self._lengths = sorted({len(host) - 1 for host in self._order if host.startswith("*")})
        self._backwards = sorted(host[::-1] for host in self._order)

    def covering(self, host: str) -> list[str]:
        """Those that cover a host; see `covers`."""
        name = host.removeprefix("*")
        ends = (f"*{name[len(name) - length :]}" for length in self._lengths if length <= len(name))
        found = {item for item in (host, *ends) if item in self._order and covers(item, host)}
        return sorted(found, key=self._order.__getitem__)

    def covered(self, pattern: str) -> list[str]:
        """Those that a host or pattern covers; see `covers`."""
        found = {pattern} & self._order.keys()
        if pattern.startswith("*"):
            end = pattern[:0:-1]
            for number in range(bisect_left(self._backwards, end), len(self._backwards)):
                if not self._backwards[number].startswith(end):
                    break
                found.add(self._backwards[number][::-1])
        return sorted((item for item in found if covers(pattern, item)), key=self._order.__getitem__)

    def narrowed(self, name: str) -> list[str]:
        """Of a name and each of those that covers it or that it covers, the narrower, each once."""
        met = dict.fromkeys(self.covering(name), name)
        met |= {host: host for host in self.covered(name)}
        return [*dict.fromkeys(met[host] for host in sorted(met, key=self._order.__getitem__))]


def aliases(host: str, *, namespace: str, proxy_namespace: str, domain: str) -> tuple[str, ...]:
    """The names by which a proxy's clients may call a service, most specific first, as Istio's virtual host domains.

    In the service's own namespace `reviews`, `reviews.default`, `reviews.default.svc` and the full name with and without
    the trailing dot; in others without the bare name. A host outside `svc.<domain>` has only its full names.
    """
    suffix = f".{namespace}.svc.{domain}"
    full = (host, f"{host}.") if not is_address(host) and "*" not in host else (host,)
    if not host.endswith(suffix):
        return full
    short = host.removesuffix(suffix)
    if not short or "." in short or "*" in short:
        return full
    names = (f"{short}.{namespace}.svc", f"{short}.{namespace}")
    return (*full, short, *names) if proxy_namespace == namespace else (*full, *names)
