"""What one outbound listener does with the connections of several services: filter chains that can stand beside each other.

Plain HTTP is not here: it is one more chain, with a route configuration, that takes what carries no TLS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reconciler.compile.arrivals import Arrival
from reconciler.compile.clusters import Clusters
from reconciler.compile.connections import NOTHING, Connected, joined, prepared, tcp_chains, tls_chains, to_service
from reconciler.compile.index import Index
from reconciler.compile.scope import Scope
from reconciler.compile.viewer import Place, Viewer
from reconciler.model.hosts import aliases
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.services import Service

_EVERYTHING = ("",)


@dataclass(frozen=True, slots=True)
class Clash:
    """A service whose connections can't be told from another's.

    Attributes:
        service: Which gets none of them.
        place: Address and port, for messages.
        other: Who gets them: a host, or HTTP.
    """

    service: Service
    place: str
    other: str

    def at(self, origin: Origin, path: FieldPath) -> Finding:
        """The finding, in the document that can be mended."""
        return Finding(
            code="port-clash",
            message=f"connections to {self.place} may be for {self.service.host} or for {self.other}, and nothing in them "
            "tells the two apart",
            hint="give each its own address (`addresses`) or port, or narrow the `hosts` of the Sidecar's egress listener",
            origin=origin,
            path=path,
        )


class Compositions:
    """Puts chains together, for one mesh; each service's part is worked out once for all that see the same of it."""

    def __init__(self, index: Index, clusters: Clusters) -> None:
        self._index = index
        self._clusters = clusters
        self._parts: dict[tuple[object, ...], Connected] = {}

    def of(
        self,
        arrivals: Sequence[Arrival],
        scope: Scope,
        viewer: Viewer,
        *,
        port: int,
        http: bool = False,
        tls: bool | None = None,
        alone: bool = False,
    ) -> tuple[Connected, list[Clash]]:
        """The chains of one listener, and the services that have no place in it.

        Args:
            arrivals: What comes there, but for plain HTTP.
            scope: Which VirtualServices are seen.
            viewer: Whose listener it is.
            port: The listener's.
            http: Whether plain HTTP is served there: nothing else can then take everything that is no TLS.
            tls: Whether all of it goes by server name, or none; by each port's protocol if None.
            alone: Whether nothing else comes there, so that a service at its own address needs no server name.
        """
        if not arrivals:
            return NOTHING, []
        named = [item for item in arrivals if tls or (tls is None and item.port.protocol.is_tls)]
        bare = [item for item in arrivals if not (tls or (tls is None and item.port.protocol.is_tls))]
        kept, clashes = _told_apart(bare, http=http, port=port)
        parts = [self._tcp(item, scope, viewer, port) for item in kept if item.prefixes]
        parts += [self._tls(item, scope, viewer, port, alone=alone) for item in named]
        parts += [self._tcp(item, scope, viewer, port) for item in kept if not item.prefixes]
        return joined(parts), clashes

    def _tls(self, item: Arrival, scope: Scope, viewer: Viewer, port: int, *, alone: bool) -> Connected:
        """By the server names of `tls` rules, else by the service's own; at its own address by none."""
        any_name = item.own and alone
        key = ("tls", item.service.host, item.port.number, item.prefixes, scope, viewer, port, any_name)
        if key not in self._parts:
            place = Place(viewer=viewer, port=port)
            policies = scope.policies(self._index, item.service.host, viewer)
            found = tls_chains(self._index, policies, place, prefixes=item.prefixes)
            if not found.chains:
                server_names = () if any_name else self._names(item.service, viewer)
                own = to_service(
                    self._index,
                    item.service,
                    item.port.number,
                    viewer,
                    server_names=server_names,
                    prefixes=item.prefixes,
                )
                found = joined([own, found])
            self._parts[key] = self._offered(found, item, viewer)
        return self._parts[key]

    def _tcp(self, item: Arrival, scope: Scope, viewer: Viewer, port: int) -> Connected:
        """By `tcp` rules, and what they leave to the service itself."""
        key = ("tcp", item.service.host, item.port.number, item.prefixes, scope, viewer, port)
        if key not in self._parts:
            place = Place(viewer=viewer, port=port)
            policies = scope.policies(self._index, item.service.host, viewer)
            found = tcp_chains(self._index, policies, place, prefixes=item.prefixes)
            own = to_service(self._index, item.service, item.port.number, viewer, prefixes=item.prefixes)
            self._parts[key] = self._offered(joined([found, own]), item, viewer)
        return self._parts[key]

    def _names(self, service: Service, viewer: Viewer) -> list[str]:
        """By which clients may ask for a service; never by one that is another's full name."""
        found = aliases(
            service.host, namespace=service.namespace, proxy_namespace=viewer.namespace, domain=self._index.domain
        )
        known = self._index.services
        return [name for name in found if name == service.host or not (name.endswith(".") or name in known)]

    def _offered(self, found: Connected, item: Arrival, viewer: Viewer) -> Connected:
        """With the service's subsets, so that a new share of a split finds its cluster there and warm."""
        offered = self._clusters.of_service(item.service, item.port.number, viewer=viewer)
        ready = prepared(found, lambda ref: self._clusters.network_filters(ref, viewer=viewer))
        return replace(ready, clusters=found.clusters.union(offered))


def _told_apart(items: Iterable[Arrival], *, http: bool, port: int) -> tuple[list[Arrival], list[Clash]]:
    """Those whose destination address says which is meant; of several at one place the first by host."""
    owners: dict[str, str] = {"": "the HTTP services of this port"} if http else {}
    kept: list[Arrival] = []
    clashes: list[Clash] = []
    for item in items:
        prefixes = item.prefixes or _EVERYTHING
        other = next((owners[prefix] for prefix in prefixes if prefix in owners), None)
        if other is not None:
            address = f"[{item.bind}]" if ":" in item.bind else item.bind
            clashes.append(Clash(item.service, f"{address}:{port}", other))
            continue
        owners.update(dict.fromkeys(prefixes, item.service.host))
        kept.append(item)
    return kept, clashes
