"""Virtual hosts to be: their names and domains, and which of two has a domain that both want."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from reconciler.compile.routes import Translated
from reconciler.model.key import Key

DEFAULT_PORT = 80
"""HTTP's: where hosts that no service has are routed too, and the port that clients leave out of `Host`."""


@dataclass(frozen=True, slots=True)
class Host:
    """A virtual host to be.

    Attributes:
        domains: Its own name first.
        redirected: Whether requests without TLS are sent to `https`.
        policies: The VirtualServices whose rules it has.
        again: Makes it from another mesh in which nothing but these rules differs.
    """

    name: str
    domains: tuple[str, ...]
    translated: Translated
    redirected: bool = False
    policies: tuple[Key, ...] = ()
    again: Callable[[Any], Host] | None = None

    @property
    def says(self) -> bool:
        """Whether requests for it are answered in a way of its own; what can't be translated is not left to others either."""
        return bool(self.translated.routes or self.translated.findings or self.redirected)


def by_name(host: Host) -> str:
    """What virtual hosts are sorted by."""
    return host.name


def spelled(domains: Iterable[str], port: int, *, proxying: bool) -> tuple[str, ...]:
    """Domains as `Host` headers have them: on an HTTP_PROXY with the port, which clients leave out if it is 80."""
    bare = [in_header(domain) for domain in domains]
    if not proxying:
        return tuple(bare)
    with_port = [f"{domain}:{port}" if domain != "*" else domain for domain in bare]
    return tuple(dict.fromkeys([*bare, *with_port] if port == DEFAULT_PORT else with_port))


def in_header(domain: str) -> str:
    """A domain as a `Host` header has it: IPv6 addresses stand in brackets."""
    return f"[{domain}]" if ":" in domain else domain


def claims(hosts: Iterable[Host]) -> list[tuple[Host, tuple[str, ...]]]:
    """Each virtual host with the domains that are its own: Envoy refuses a domain that two virtual hosts have.

    Full names go first, so that a service never loses its name to another's short form; then the first by name wins.
    """
    ordered = list(hosts)
    owner: dict[str, str] = {}
    for host in ordered:
        owner.setdefault(host.domains[0].lower(), host.name)
    for host in ordered:
        for domain in host.domains:
            owner.setdefault(domain.lower(), host.name)
    return [(host, tuple(item for item in host.domains if owner[item.lower()] == host.name)) for host in ordered]
