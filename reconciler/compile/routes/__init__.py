"""VirtualService rules as Envoy routes: one route for each match, in order (Istio's `route.go`).

Knows nothing of listeners, virtual hosts or proxies; what depends on them is in `Place`. Each message of a rule has its own
module here; what a rule can't say is a finding, and its requests get an answer that says so: no other rule suffers from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from envoy.config.route.v3.route_components_pb2 import Route

from reconciler.compile import names
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.routes.actions import fill_action
from reconciler.compile.routes.conditions import holds
from reconciler.compile.routes.cors import fill_cors
from reconciler.compile.routes.delegates import rules_of
from reconciler.compile.routes.destinations import Destinations, hash_key
from reconciler.compile.routes.errors import UntranslatableError
from reconciler.compile.routes.faults import fill_fault, surprises
from reconciler.compile.routes.hashing import hash_policies
from reconciler.compile.routes.headers import fill_headers
from reconciler.compile.routes.matches import fill_match, is_catch_all
from reconciler.compile.routes.ratelimits import Layer, limit
from reconciler.compile.routes.redirects import fill_direct_response, fill_redirect
from reconciler.compile.routes.retries import fill_retries
from reconciler.compile.routes.rules import RouteRule, Rules
from reconciler.compile.viewer import Place
from reconciler.errors import Severity
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.services import Service
from reconciler.model.virtualservice import HTTPMatch, VirtualService

__all__ = ["Translated", "Translations", "UntranslatableError", "is_catch_all", "translate"]

_UNTRANSLATABLE = 500
"""What requests get whose rule can't be translated."""


@dataclass(frozen=True, slots=True)
class Translated:
    """Routes, and what they lead to.

    Attributes:
        routes: Envoy `Route` messages; shared, not to be changed. One that matches everything is the last.
        clusters: Every cluster that they name.
        everything: The rule that takes every request, if one does.
    """

    routes: tuple[Any, ...]
    clusters: frozenset[ClusterRef]
    findings: tuple[Finding, ...] = ()
    everything: RouteRule | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """A translation, and what it was made from: kept, so that what is looked up by identity keeps its identity."""

    policy: Policy[VirtualService]
    rules: tuple[object, ...]
    services: tuple[Service | None, ...]
    translated: Translated

    @property
    def hosts(self) -> list[str]:
        """Of the services."""
        return sorted({ref.host for ref in self.translated.clusters})


class Translations:
    """The routes of one mesh, each translated when it is first asked for and shared by all places where it is the same.

    Args:
        index: The mesh.
        prototypes: The templates in force.
        last: Those of another mesh with the same settings, templates and RateLimits, to take over what is the same.
    """

    def __init__(self, index: Index, prototypes: Prototypes, *, last: Translations | None = None) -> None:
        self._index = index
        self._prototypes = prototypes
        self._rules: dict[Key, Rules] = {}
        self._built: dict[tuple[object, ...], _Made] = {}
        self._defaults: dict[tuple[object, ...], Translated] = {}
        self._merged: dict[tuple[object, ...], tuple[tuple[Translated, ...], Translated]] = {}
        self._known = last.made() if last else {}

    def made(self) -> dict[tuple[object, ...], _Made]:
        """Translations by what they are looked up by."""
        return {**self._known, **self._built}

    def forget(self) -> None:
        """Let go of what was there to be taken over."""
        self._known = {}

    def of(self, policy: Policy[VirtualService], place: Place) -> Translated:
        """The routes of a VirtualService in a place."""
        rules = self._rules.get(policy.key)
        if rules is None:
            rules = self._rules[policy.key] = rules_of(policy, self._index)
        # The index merges DestinationRules once, so a rule is known by its identity.
        seen = tuple(self._index.rule(host, place.viewer) for host in rules.hosts)
        key = (policy.key, rules.facets(place), tuple(map(id, seen)))
        if key not in self._built:
            known = self._known.get(key)
            if known is None or not self._holds(known, policy):
                translated = translate(rules, place=place, index=self._index, prototypes=self._prototypes)
                made = _Made(policy, seen, (), translated)
                known = replace(made, services=tuple(map(self._index.services.get, made.hosts)))
            self._built[key] = known
        return self._built[key].translated

    def _holds(self, known: _Made, policy: Policy[VirtualService]) -> bool:
        """Whether a translation of another mesh is the one of this: same document, without delegates, and same services."""
        if known.policy is not policy or any(rule.delegate for rule in policy.spec.http):
            return False
        now = map(self._index.services.get, known.hosts)
        return all(one is other for one, other in zip(known.services, now, strict=True))

    def together(self, host: str, ranked: Sequence[tuple[int, Policy[VirtualService]]], place: Place) -> Translated:
        """The routes of several VirtualServices for one host, in this order; a route that matches everything goes last.

        Two rules of one rank that take every request are a conflict: the first wins, and both are named. That one of a
        lower rank is never reached is what ranks are for.
        """
        parts = [(rank, self.of(policy, place)) for rank, policy in ranked]
        if len(parts) == 1:
            return parts[0][1]
        key = (host, *((rank, id(part)) for rank, part in parts))
        if key not in self._merged:
            self._merged[key] = (tuple(part for _, part in parts), _together(host, parts))
        return self._merged[key][1]

    def default(self, cluster: ClusterRef, place: Place) -> Translated:
        """The one route of a service that no VirtualService speaks of."""
        key = hash_key(self._index, place, cluster)
        known = (cluster, key and key.model_dump_json())
        if known not in self._defaults:
            route = Route()
            route.CopyFrom(self._prototypes.route)
            route.name = "default"
            route.match.prefix = "/"
            route.route.cluster = cluster.name
            route.route.hash_policy.extend(hash_policies([key]))
            fill_retries(route.route, None, pinned=bool(route.route.hash_policy))
            self._defaults[known] = Translated((route,), frozenset({cluster}))
        return self._defaults[known]


def translate(rules: Rules, *, place: Place, index: Index, prototypes: Prototypes) -> Translated:
    """The routes of a VirtualService in a place.

    Rules none of whose matches can hold there are left out. So is what comes after a match that takes everything, as it
    can't be reached (as in Istio).
    """
    destinations = Destinations(index=index, place=place)
    routes: list[Any] = []
    findings = [*rules.findings]
    everything: RouteRule | None = None
    for rule in rules.rules:
        matches = [match for match in rule.spec.match or (HTTPMatch(),) if holds(match, owner=rule.owner, place=place)]
        if not matches:
            continue
        answer = _answer(rule, destinations, place, prototypes, findings)
        findings.extend(_surprises(rule))
        limiting = index.limits.of_rule(rule.owner.key, rule.written)
        if limiting is not None:
            limit(answer, limiting, Layer.RULE)
        config = {"config": names.config_path("virtual-service", rules.policy.key)}
        answer.metadata.filter_metadata["istio"].update(config)
        for match in matches:
            routes.append(_matched(answer, rule, match))
            if is_catch_all(routes[-1]):
                everything = rule
                break
        if everything is not None:
            break
    return Translated(tuple(routes), frozenset(destinations.clusters), (*findings, *destinations.findings), everything)


def _answer(
    rule: RouteRule, destinations: Destinations, place: Place, prototypes: Prototypes, findings: list[Finding]
) -> Any:
    """What becomes of a rule's requests, as a route without a match; an error answer if that can't be said."""
    known = frozenset(destinations.clusters)
    try:
        if not rule.failure:
            return _translated(rule, destinations, place, prototypes)
    except (UntranslatableError, ValueError, OverflowError) as error:  # protobuf's own: a value doesn't fit its field
        destinations.clusters = set(known)
        finding = Finding(
            code="route-untranslatable",
            message=f"this rule can't be translated, so its requests are answered with status {_UNTRANSLATABLE}: {error}",
            hint="correct the rule; the others are not affected",
            origin=rule.owner.origin,
            path=rule.path,
        )
        findings.append(finding)
    route = Route()
    route.direct_response.status = _UNTRANSLATABLE
    return route


def _translated(rule: RouteRule, destinations: Destinations, place: Place, prototypes: Prototypes) -> Any:
    spec = rule.spec
    route = Route()
    route.CopyFrom(prototypes.route)
    if spec.redirect is not None:
        fill_redirect(route.redirect, spec.redirect, place)
        fill_headers(route, (spec.headers,))
    elif spec.direct_response is not None:
        fill_direct_response(route.direct_response, spec.direct_response)
        fill_headers(route, (spec.headers,))
    elif spec.route:
        fill_action(route, rule, destinations)
    else:
        raise UntranslatableError("it says neither where requests go nor how they are answered")
    if spec.fault is not None:
        fill_fault(route, spec.fault)
    if spec.cors_policy is not None:
        fill_cors(route, spec.cors_policy)
    return route


def _matched(answer: Any, rule: RouteRule, match: HTTPMatch) -> Any:
    route = Route()
    route.CopyFrom(answer)
    route.name = ".".join(name for name in (rule.spec.name, match.name) if name)
    route.stat_prefix = match.stat_prefix
    fill_match(route.match, match)
    return route


def _surprises(rule: RouteRule) -> Iterator[Finding]:
    for text in surprises(rule.spec):
        yield Finding(
            code="fault-retries",
            message=text,
            hint="to test timeouts and retries, send some requests to a destination that is slow or fails",
            severity=Severity.WARNING,
            origin=rule.owner.origin,
            path=(*rule.path, "fault"),
        )


def _together(host: str, ranked: Sequence[tuple[int, Translated]]) -> Translated:
    parts = [part for _, part in ranked]
    routes = [route for part in parts for route in part.routes if not is_catch_all(route)]
    taking = [(rank, part.everything, part.routes[-1]) for rank, part in ranked if part.everything is not None]
    findings = [finding for part in parts for finding in part.findings]
    clusters = frozenset(ref for part in parts for ref in part.clusters)
    if not taking:
        return Translated(tuple(routes), clusters, tuple(findings))
    first_rank, everything, last = taking[0]
    equals = [rule for rank, rule, _ in taking if rank == first_rank]
    if len(equals) > 1:
        findings.extend(_conflict(host, rule, equals[1] if rule is everything else everything) for rule in equals)
    return Translated((*routes, last), clusters, tuple(findings), everything)


def _conflict(host: str, rule: RouteRule, other: RouteRule) -> Finding:
    where = f"{other.owner.kind} {other.owner.key.short()} in {other.owner.origin.file}"
    return Finding(
        code="conflicting-hosts",
        message=f"this rule takes every request for {host}, and so does one of {where}",
        hint="keep one of the two, or give one of them a match",
        origin=rule.owner.origin,
        path=rule.path,
    )
