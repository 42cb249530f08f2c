"""What a Gateway's servers offer: which of them take a VirtualService's host. A Gateway may have thousands of hosts."""

from __future__ import annotations

from reconciler.model.gateway import Gateway, Server
from reconciler.model.hosts import covers
from reconciler.model.mesh import Policy


class Offered:
    """The servers of one Gateway, by host."""

    def __init__(self, gateway: Policy[Gateway]) -> None:
        self._servers = gateway.spec.servers
        self._exact: dict[str, list[tuple[str, int]]] = {}
        self._wild: list[tuple[str, str, int]] = []
        for number, server in enumerate(gateway.spec.servers):
            for text in server.hosts:
                place, slash, name = text.rpartition("/")
                namespace = gateway.key.namespace if place == "." else place if slash else "*"
                if name.startswith("*"):
                    self._wild.append((name, namespace, number))
                else:
                    self._exact.setdefault(name, []).append((namespace, number))

    def to(self, host: str, namespace: str) -> list[Server]:
        """The servers that take a host, or some of a wildcard, of a VirtualService of this namespace."""
        found = {number for place, number in self._exact.get(host, ()) if place in {"*", namespace}}
        found |= {
            number
            for name, place, number in self._wild
            if place in {"*", namespace} and (covers(name, host) or covers(host, name))
        }
        if host.startswith("*"):
            found |= {
                number
                for name, places in self._exact.items()
                if covers(host, name)
                for place, number in places
                if place in {"*", namespace}
            }
        return [self._servers[number] for number in sorted(found)]
