"""Which services and VirtualServices a sidecar may see: `hosts` of Sidecar egress listeners, and `exportTo` of what they name.

DestinationRules are not in any scope: those for a service in scope hold, found by namespace as always (`Index.rule`), as in Istio.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from reconciler.compile.index import Index
from reconciler.compile.viewer import Viewer
from reconciler.model.hosts import covers
from reconciler.model.mesh import Policy
from reconciler.model.services import Service
from reconciler.model.virtualservice import VirtualService
from reconciler.model.visibility import exported, visible

_NOBODY = "~"
_OWN = "."
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """A set of patterns, as (namespace, host); `*` is any namespace. Sorted, so equal scopes are equal values."""

    patterns: tuple[tuple[str, str], ...]
    _exact: frozenset[tuple[str, str]] = field(init=False, compare=False, repr=False)
    _wild: tuple[tuple[str, str], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Tell exact hosts from wildcards: a Sidecar may name thousands, and each service is held against all of them."""
        object.__setattr__(self, "_exact", frozenset(self.patterns))
        object.__setattr__(self, "_wild", tuple(item for item in self.patterns if item[1].startswith("*")))

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
        if (namespace, host) in self._exact or (_ANY, host) in self._exact:
            return True
        if any(place in {_ANY, namespace} and covers(pattern, host) for place, pattern in self._wild):
            return True
        return host.startswith("*") and any(
            place in {_ANY, namespace} and covers(host, pattern) for place, pattern in self.patterns
        )

    def sees(self, service: Service, viewer: Viewer) -> bool:
        """Whether a service is in scope and exported to the viewer's namespace."""
        return visible(service.export_to, viewer.namespace) and self.includes(service.namespace, service.host)

    def policies(self, index: Index, host: str, viewer: Viewer) -> tuple[Policy[VirtualService], ...]:
        """The VirtualServices for sidecars that are for a host and seen: the most specific first, then by key."""
        found = {
            policy.key: policy
            for pattern, policies in index.mesh_routes.matches(host)
            for policy in policies
            if self.includes(policy.key.namespace, pattern)
            and visible(exported(policy.spec.export_to, policy.key.namespace), viewer.namespace)
        }
        return tuple(found.values())


EVERYTHING = Scope(((_ANY, _ANY),))
"""What a sidecar sees without a Sidecar resource."""
