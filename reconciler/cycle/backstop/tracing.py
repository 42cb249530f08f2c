"""From a piece of configuration back to the document that asked for it, and to the field that Envoy's words fit best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.compile.pieces import Kind, Piece
from reconciler.cycle.backstop.synthetic import NOWHERE
from reconciler.cycle.backstop.words import at, spoken
from reconciler.model.hosts import fqdn
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import FieldPath
from reconciler.model.services import selected

_SPEC: FieldPath = ("spec",)


@dataclass(frozen=True, slots=True)
class Place:
    """A document, and a field in it."""

    policy: Policy[Any]
    path: FieldPath = _SPEC


class Tracer:
    """The documents of one mesh, looked up from what they were compiled to."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._by_config = {_config(policy): policy for policy in mesh.policies()}

    def trace(self, pieces: tuple[Piece, ...], position: int, words: str) -> Place | None:
        """Where a piece comes from; None if no document can be named.

        Of all the documents that it may come from, one that has a value that Envoy's words speak of is preferred; otherwise
        the likeliest.
        """
        places = [place for place in self._candidates(pieces, position) if place.policy.origin is not NOWHERE]
        for place in (*places, *(Place(place.policy) for place in places)):
            spoken = _spoken(place, words)
            if spoken is not None:
                return Place(place.policy, spoken)
        return places[0] if places else None

    def _candidates(self, pieces: tuple[Piece, ...], position: int) -> Iterator[Place]:
        piece = pieces[position]
        owner = self._mesh.proxy(piece.proxies[0]) if piece.proxies else None
        if piece.kind is Kind.ADMIN:
            if owner is not None:
                yield Place(owner, ("spec", "admin"))
            return
        if piece.kind is Kind.CLUSTER:
            yield from self._cluster(piece, owner)
        if piece.kind is Kind.ROUTE:
            yield from self._route(pieces, position)
        if piece.kind in {Kind.ROUTE, Kind.VIRTUAL_HOST}:
            yield from self._virtual_host(pieces, position if piece.kind is Kind.VIRTUAL_HOST else piece.parent)
        if piece.kind is not Kind.CLUSTER:
            yield from self._listener(str(piece.path[1]), owner)
        if owner is not None:
            yield Place(owner)

    def _cluster(self, piece: Piece, owner: Policy[Any] | None) -> Iterator[Place]:
        parts = piece.name.split("|", 3)
        if len(parts) != 4:  # noqa: PLR2004 -- direction, port, subset, host
            return
        direction, port, subset, host = parts
        rule = self._by_config.get(_metadata(piece.body).get("config", ""))
        if rule is not None:
            yield Place(rule, _of_rule(rule, subset))
        if direction == "outbound":
            yield from self._service(host)
        elif port.isdigit():
            yield from self._inbound(int(port), owner)

    def _service(self, host: str) -> Iterator[Place]:
        for entry in self._mesh.service_entries:
            for number, name in enumerate(entry.spec.hosts):
                if fqdn(name, namespace=entry.key.namespace, domain=self._mesh.settings.domain) == host:
                    yield Place(entry, ("spec", "hosts", number))
                    yield from self._members(entry)

    def _members(self, entry: Policy[Any]) -> Iterator[Place]:
        selector = entry.spec.workload_selector
        for workload in self._mesh.workload_entries:
            same = workload.key.namespace == entry.key.namespace
            if selector is not None and same and selected(workload.spec.labels, selector.labels):
                yield Place(workload)

    def _route(self, pieces: tuple[Piece, ...], position: int) -> Iterator[Place]:
        piece = pieces[position]
        config = _metadata(piece.body).get("config", "")
        policy = self._by_config.get(config)
        if policy is None or policy.kind != "VirtualService":
            return
        siblings = [
            number
            for number, other in enumerate(pieces)
            if other.parent == piece.parent and _metadata(other.body).get("config", "") == config
        ]
        rule = _rule(policy.spec.http, piece.name, siblings.index(position), len(siblings))
        yield Place(policy, ("spec", "http") if rule is None else ("spec", "http", rule))

    def _virtual_host(self, pieces: tuple[Piece, ...], position: int | None) -> Iterator[Place]:
        if position is None:
            return
        for number, piece in enumerate(pieces):
            if piece.parent == position:
                yield from (Place(place.policy, ("spec", "hosts")) for place in self._route(pieces, number))
        yield from self._service(pieces[position].name.rpartition(":")[0])

    def _listener(self, name: str, owner: Policy[Any] | None) -> Iterator[Place]:
        port = name.rpartition("_")[2]
        if not port.isdigit() or owner is None:
            return
        if owner.spec.workload:
            yield from self._inbound(int(port), owner)
            for entry in self._mesh.service_entries:
                for number, item in enumerate(entry.spec.ports):
                    if item.number == int(port):
                        yield Place(entry, ("spec", "ports", number))
            return
        for gateway in self._mesh.gateways:
            for number, server in enumerate(gateway.spec.servers):
                if server.port.number == int(port) and selected(owner.spec.labels, gateway.spec.selector):
                    yield Place(gateway, ("spec", "servers", number))

    def _inbound(self, port: int, owner: Policy[Any] | None) -> Iterator[Place]:
        """Listeners that a Sidecar asks for, and the workload itself."""
        if owner is None:
            return
        for sidecar in self._mesh.sidecars:
            if sidecar.key.namespace != owner.key.namespace:
                continue
            for group in ("ingress", "egress"):
                for number, item in enumerate(getattr(sidecar.spec, group)):
                    if item.port is not None and item.port.number == port:
                        yield Place(sidecar, ("spec", group, number))
        for workload in self._mesh.workload_entries:
            if workload.key == Key(owner.key.namespace, owner.spec.workload):
                yield Place(workload)


def _config(policy: Policy[Any]) -> str:
    """As a resource's metadata names it, after Istio."""
    kind = "".join(f"-{char.lower()}" if char.isupper() else char for char in policy.kind).removeprefix("-")
    return f"/apis/networking.istio.io/v1/namespaces/{policy.key.namespace}/{kind}/{policy.key.name}"


def _metadata(body: Any) -> dict[str, Any]:
    if "istio" not in body.metadata.filter_metadata:
        return {}
    return dict(body.metadata.filter_metadata["istio"])


def _of_rule(rule: Policy[Any], subset: str) -> FieldPath:
    numbers = {item.name: number for number, item in enumerate(rule.spec.subsets)}
    return ("spec", "subsets", numbers[subset]) if subset in numbers else ("spec", "trafficPolicy")


def _rule(rules: Any, name: str, place: int, routes: int) -> int | None:
    """The `http` rule of a route: by its name, or by its place among the rule's routes, if that is certain."""
    named = [
        number
        for number, rule in enumerate(rules)
        if rule.name and (name == rule.name or name.startswith(f"{rule.name}."))
    ]
    if len(named) == 1:
        return named[0]
    owners = [number for number, rule in enumerate(rules) for _ in (rule.match or (None,))]
    return owners[place] if len(owners) == routes else None


def _spoken(place: Place, words: str) -> FieldPath | None:
    """The value below a place that Envoy's words speak of."""
    written = {"spec": place.policy.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)}
    return spoken(at(written, place.path), place.path, words)
