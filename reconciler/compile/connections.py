"""Connections that are passed on whole: a VirtualService's `tls` and `tcp` rules as filter chains (Istio's `tls.go`).

Conditions that are settled for a place (port, gateways, the caller's labels and namespace) are decided here; server names and
destination addresses are left for Envoy to match. Knows nothing of listeners: who needs which chains is decided by `outbound`,
`interception` and `gateways`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.compile.chains import cidr, distinct, free, matching, predicates
from reconciler.compile.destinations import target
from reconciler.compile.index import Index
from reconciler.compile.listeners import Chain
from reconciler.compile.names import ClusterRef
from reconciler.compile.tcpproxies import Share, proxy_to
from reconciler.compile.viewer import Place, Viewer
from reconciler.errors import Severity
from reconciler.model.hosts import HostSet
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.services import Service
from reconciler.model.virtualservice import MESH_GATEWAY, L4Match, RouteDestination, TCPRoute, VirtualService


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Filter chains, every cluster that they can lead to (those of weight 0 too), and what is wrong with them.

    Attributes:
        chains: None of them takes a connection that another takes with the same server name and prefix.
    """

    chains: tuple[Chain, ...] = ()
    clusters: frozenset[ClusterRef] = frozenset()
    findings: tuple[Finding, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether a chain takes every connection, so that nothing is left for a default."""
        return any(not (chain.server_names or chain.prefixes or chain.transport) for chain in self.chains)


NOTHING = Connected()


def prepared(found: Connected, filters: Callable[[ClusterRef], tuple[Any, ...]]) -> Connected:
    """The same with the network filters that a cluster needs before the proxy to it, such as one that looks a name up.

    Of several clusters of one proxy only those filters are there that the first one needs.
    """
    refs = {ref.name: ref for ref in found.clusters}
    chains = []
    for chain in found.chains:
        split = chain.tcp.weighted_clusters.clusters
        ref = refs.get(split[0].name if split else chain.tcp.cluster)
        chains.append(replace(chain, before=filters(ref)) if ref else chain)
    return replace(found, chains=tuple(chains))


def joined(items: Iterable[Connected]) -> Connected:
    """Several as one; of chains that would take the same connections the first."""
    parts = tuple(items)
    return Connected(
        chains=distinct(chain for part in parts for chain in part.chains),
        clusters=frozenset(ref for part in parts for ref in part.clusters),
        findings=tuple(dict.fromkeys(finding for part in parts for finding in part.findings)),
    )


def tls_chains(
    index: Index,
    policies: Iterable[Policy[VirtualService]],
    place: Place,
    *,
    hosts: Sequence[str] = ("*",),
    prefixes: Sequence[str] = (),
) -> Connected:
    """The chains of `tls` rules, by server name, in order.

    Args:
        index: The mesh.
        policies: The VirtualServices that route here, the more important first; each is bound to the place's gateways.
        place: Where the listener is.
        hosts: Server names that may come here at all, wildcards included.
        prefixes: Destination addresses in CIDR form, where a match names none.
    """
    return _Builder(index, place).tls(policies, hosts=hosts, prefixes=prefixes)


def tcp_chains(
    index: Index, policies: Iterable[Policy[VirtualService]], place: Place, *, prefixes: Sequence[str] = ()
) -> Connected:
    """The chains of `tcp` rules, in order, up to the first that asks for no destination subnet: what comes after it is out of reach.

    Arguments are as for `tls_chains`.
    """
    return _Builder(index, place).tcp(policies, prefixes=prefixes)


def to_service(
    index: Index,
    service: Service,
    port: int,
    viewer: Viewer,
    *,
    server_names: Sequence[str] = (),
    prefixes: Sequence[str] = (),
) -> Connected:
    """The one chain to a port of a service that no VirtualService speaks of.

    Args:
        index: The mesh.
        service: Where connections go.
        port: Of the service.
        viewer: Whose listener it is.
        server_names: That choose it; none for any connection.
        prefixes: Destination addresses in CIDR form.
    """
    ref = ClusterRef(service.host, port)
    proxy = proxy_to(index, [(ref, 1)], viewer)
    return Connected(
        chains=(matching(Chain(name=ref.name, prefixes=tuple(prefixes), tcp=proxy), server_names),),
        clusters=frozenset({ref}),
    )


def holds(match: L4Match, policy: Policy[VirtualService], place: Place) -> bool:
    """Whether the conditions of a match that are settled here hold: all of them, unlike for requests."""
    return (
        match.port in {0, place.port}
        and match.source_namespace in {"", place.viewer.namespace}
        and place.viewer.carries(dict(match.source_labels))
        and (not match.gateways or not _gateways(match, policy).isdisjoint(place.gateways))
    )


def _gateways(match: L4Match, policy: Policy[VirtualService]) -> frozenset[str]:
    return frozenset(name if name == MESH_GATEWAY else str(policy.resolve(name)) for name in match.gateways)


@dataclass(frozen=True, slots=True)
class _Written:
    """A match and where it stands."""

    policy: Policy[VirtualService]
    match: L4Match
    path: FieldPath

    def always_before(self, other: _Written) -> bool:
        """Whether this one holds wherever the other does, so that the other is never used."""
        mine, theirs = self.match, other.match
        return (
            mine.port in {0, theirs.port}
            and mine.source_namespace in {"", theirs.source_namespace}
            and all(theirs.source_labels.get(name) == value for name, value in mine.source_labels.items())
            and (not mine.gateways or _gateways(mine, self.policy) == _gateways(theirs, other.policy))
        )


class _Builder:
    """The chains of one place, in order, and what they take."""

    def __init__(self, index: Index, place: Place) -> None:
        self._index = index
        self._place = place
        self._chains: list[Chain] = []
        self._clusters: set[ClusterRef] = set()
        self._findings: list[Finding] = []
        self._taken: set[tuple[str, str]] = set()
        self._owners: dict[tuple[str, str], _Written] = {}

    def tls(
        self, policies: Iterable[Policy[VirtualService]], *, hosts: Sequence[str], prefixes: Sequence[str]
    ) -> Connected:
        known = HostSet(hosts)
        for policy in policies:
            for number, rule in enumerate(policy.spec.tls):
                for position, match in enumerate(rule.match):
                    names = [*dict.fromkeys(name for text in match.sni_hosts for name in known.narrowed(text))]
                    if names and rule.route and holds(match, policy, self._place):
                        written = _Written(policy, match, ("spec", "tls", number, "match", position))
                        self._add(written, rule.route, ("spec", "tls", number, "route"), names, prefixes)
        return self._done()

    def tcp(self, policies: Iterable[Policy[VirtualService]], *, prefixes: Sequence[str]) -> Connected:
        for written, rule in self._tcp_matches(policies):
            path: FieldPath = (*written.path[:3], "route")
            self._add(written, rule.route, path, (), prefixes)
            if not written.match.destination_subnets:
                break
        return self._done()

    def _tcp_matches(self, policies: Iterable[Policy[VirtualService]]) -> Iterator[tuple[_Written, TCPRoute]]:
        for policy in policies:
            for number, rule in enumerate(policy.spec.tcp):
                for position, match in enumerate(rule.match or (L4Match(),)):
                    if rule.route and holds(match, policy, self._place):
                        yield _Written(policy, match, ("spec", "tcp", number, "match", position)), rule

    def _done(self) -> Connected:
        return Connected(chains=tuple(self._chains), clusters=frozenset(self._clusters), findings=tuple(self._findings))

    def _add(
        self,
        written: _Written,
        route: Sequence[RouteDestination],
        path: FieldPath,
        names: Sequence[str],
        prefixes: Sequence[str],
    ) -> None:
        chain = Chain(name=_name(written), prefixes=self._prefixes(written, prefixes))
        parts, lost = free(matching(chain, names), self._taken)
        owners = [self._owners[predicate] for predicate in lost if predicate in self._owners]
        hidden = next((owner for owner in owners if owner.always_before(written)), None)
        if hidden is not None:
            self._findings.append(_duplicate(written, hidden))
        for part in parts:
            for predicate in predicates(part):
                self._owners.setdefault(predicate, written)
        if parts:
            proxy = self._proxy(written.policy, route, path)
            self._chains.extend(replace(part, tcp=proxy) for part in parts)

    def _prefixes(self, written: _Written, default: Sequence[str]) -> tuple[str, ...]:
        subnets = written.match.destination_subnets
        found = [(text, cidr(text)) for text in subnets]
        self._findings.extend(_unreadable(written, text) for text, block in found if not block)
        return tuple(dict.fromkeys(block for _, block in found if block)) if subnets else tuple(default)

    def _proxy(self, policy: Policy[VirtualService], route: Sequence[RouteDestination], path: FieldPath) -> Any:
        shares: list[Share] = []
        for number, share in enumerate(route):
            where = (*path, number, "destination")
            ref, finding = target(policy, share.destination, port=self._place.port, index=self._index, path=where)
            shares.append((ref, share.weight))
            self._findings.extend([finding] if finding else [])
        self._clusters.update(ref for ref, _ in shares)
        prefix = f"{policy.key.name}.{policy.key.namespace}" if len(shares) > 1 else ""
        return proxy_to(self._index, shares, self._place.viewer, stat_prefix=prefix)


def _name(written: _Written) -> str:
    _, kind, rule, _, match = written.path
    return f"{written.policy.key.name}.{written.policy.key.namespace}.{kind}.{rule}.{match}"


def _duplicate(written: _Written, earlier: _Written) -> Finding:
    _, kind, rule, _, match = earlier.path
    return Finding(
        code="duplicate-match",
        message=f"connections that this matches are taken by {kind}[{rule}].match[{match}] of VirtualService "
        f"{earlier.policy.key} already",
        hint="remove it, or let the two match different server names or destination subnets",
        severity=Severity.WARNING,
        origin=written.policy.origin,
        path=written.path,
    )


def _unreadable(written: _Written, text: str) -> Finding:
    return Finding(
        code="address",
        message=f"{text!r} is not an address or a block of addresses",
        hint="write it as 10.0.0.0/8",
        origin=written.policy.origin,
        path=(*written.path, "destinationSubnets"),
    )
