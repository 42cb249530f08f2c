"""Which services and VirtualServices a sidecar may see: the `hosts` of Sidecar egress listeners."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from reconciler.model.hosts import covers

_NOBODY = "~"
_OWN = "."
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """A set of patterns, as (namespace, host); `*` is any namespace. Sorted, so equal scopes are equal values."""

    patterns: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, hosts: Iterable[str], namespace: str) -> Self:
        """Read `namespace/host` patterns of a Sidecar: `.` is its own namespace, `~` nobody's."""
        found: set[tuple[str, str]] = set()
        for text in hosts:
            place, slash, host = text.partition("/")
            if not slash:
                place, host = _ANY, text
            if place != _NOBODY:
                found.add((namespace if place == _OWN else place, host))
        return cls(tuple(sorted(found)))

    def includes(self, namespace: str, host: str) -> bool:
        """Whether a service, or a VirtualService's host, of this namespace is visible.

        A host that is a wildcard itself is visible if it overlaps a pattern, as Istio matches VirtualServices.
        """
        return any(
            place in {_ANY, namespace} and (covers(pattern, host) or covers(host, pattern))
            for place, pattern in self.patterns
        )


EVERYTHING = Scope(((_ANY, _ANY),))
"""What a sidecar sees without a Sidecar resource."""
