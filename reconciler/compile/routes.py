"""VirtualService rules as Envoy routes: one route for each match, in order (Istio's `route.go`).

Knows nothing of listeners, virtual hosts or proxies; what depends on them is in `Place`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RetryPolicy, Route

from reconciler.compile import names
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.viewer import Place
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.virtualservice import Destination, HTTPMatch, HTTPRetry, HTTPRoute, StringMatch, VirtualService

_BY_STATUS = "retriable-status-codes"
_RETRY_ON = f"connect-failure,refused-stream,unavailable,cancelled,{_BY_STATUS}"
"""Istio's default; the house template has it too, but attempts without a condition would be without effect."""


@dataclass(frozen=True, slots=True)
class Translated:
    """Routes, and what they lead to.

    Attributes:
        routes: Envoy `Route` messages; shared, not to be changed.
        clusters: Every cluster that they name.
    """

    routes: tuple[Any, ...]
    clusters: frozenset[ClusterRef]
    findings: tuple[Finding, ...] = ()


class Translations:
    """The routes of one mesh, each translated when it is first asked for and shared by all proxies."""

    def __init__(self, index: Index, prototypes: Prototypes) -> None:
        self._index = index
        self._prototypes = prototypes
        self._built: dict[tuple[Key, Place], Translated] = {}

    def of(self, policy: Policy[VirtualService], place: Place) -> Translated:
        """The routes of a VirtualService in a place."""
        key = (policy.key, place)
        if key not in self._built:
            self._built[key] = translate(policy, place=place, index=self._index, prototypes=self._prototypes)
        return self._built[key]

    def default(self, cluster: ClusterRef) -> Translated:
        """The one route of a service that no VirtualService speaks of."""
        route = Route()
        route.CopyFrom(self._prototypes.route)
        route.name = "default"
        route.match.prefix = "/"
        route.route.cluster = cluster.name
        return Translated((route,), frozenset({cluster}))


def translate(policy: Policy[VirtualService], *, place: Place, index: Index, prototypes: Prototypes) -> Translated:
    """The routes of a VirtualService in a place.

    Rules after one that matches everything can't be reached, so they are left out, as in Istio.
    """
    routes: list[Any] = []
    clusters: set[ClusterRef] = set()
    findings: list[Finding] = []
    for number, rule in enumerate(policy.spec.http):
        action = Route()
        action.CopyFrom(prototypes.route)
        action.metadata.filter_metadata["istio"].update({"config": names.config_path("virtual-service", policy.key)})
        targets = [
            _target(
                policy,
                share.destination,
                port=place.port,
                index=index,
                path=("spec", "http", number, "route", position),
            )
            for position, share in enumerate(rule.route)
        ]
        findings.extend(finding for _, finding in targets if finding is not None)
        refs = [ref for ref, _ in targets]
        clusters.update(refs)
        _split(action.route, rule, refs)
        _timeout(action.route, rule)
        _retries(action.route, rule.retries)
        for match in rule.match or (HTTPMatch(),):
            routes.append(_matched(action, rule, match))
            if is_catch_all(routes[-1]):
                return Translated(tuple(routes), frozenset(clusters), tuple(findings))
    return Translated(tuple(routes), frozenset(clusters), tuple(findings))


def is_catch_all(route: Any) -> bool:
    """Whether a route matches every request."""
    match = route.match
    return not match.headers and (match.prefix == "/" or match.safe_regex.regex == ".*")


def _target(
    policy: Policy[VirtualService], destination: Destination, *, port: int, index: Index, path: tuple[str | int, ...]
) -> tuple[ClusterRef, Finding | None]:
    """The cluster of a destination. Its port: the one it names, the service's only one, or the listener's."""
    host = index.resolve(destination.host, policy)
    ref = ClusterRef(host, port, destination.subset)
    if destination.port is not None:
        return replace(ref, port=destination.port.number), None
    service = index.services.get(host)
    if service is None or service.port(port) is not None:
        return ref, None
    if len(service.ports) == 1:
        return replace(ref, port=service.ports[0].number), None
    known = ", ".join(str(item.number) for item in service.ports)
    finding = Finding(
        code="destination-port",
        message=f"{host} has the ports {known}, and none of them is {port}, the port of the listener that routes to it",
        hint="say which port is meant: `port: {number: ...}`",
        origin=policy.origin,
        path=(*path, "destination"),
    )
    return ref, finding


def _split(action: Any, rule: HTTPRoute, refs: Iterable[ClusterRef]) -> None:
    """One destination is a cluster; several are weighted, those of weight 0 too, and Envoy takes any total."""
    chosen = tuple(refs)
    if len(chosen) == 1:
        action.cluster = chosen[0].name
        return
    for ref, share in zip(chosen, rule.route, strict=True):
        cluster = action.weighted_clusters.clusters.add(name=ref.name)
        cluster.weight.value = share.weight


def _timeout(action: Any, rule: HTTPRoute) -> None:
    if rule.timeout is not None:
        action.timeout.FromTimedelta(rule.timeout)
        action.max_stream_duration.grpc_timeout_header_max.FromTimedelta(rule.timeout)


def _retries(action: Any, retries: HTTPRetry | None) -> None:
    """A rule's retries on top of the template's, as Istio puts them on top of its defaults (`retry.go`)."""
    if retries is None:
        return
    if retries.attempts <= 0:
        action.ClearField("retry_policy")
        return
    policy = action.retry_policy
    policy.num_retries.value = retries.attempts
    if retries.retry_on:
        _retry_on(policy, retries.retry_on)
    elif not policy.retry_on:
        policy.retry_on = _RETRY_ON
    if retries.per_try_timeout is not None:
        policy.per_try_timeout.FromTimedelta(retries.per_try_timeout)
    if retries.backoff:
        policy.retry_back_off.CopyFrom(RetryPolicy.RetryBackOff())
        policy.retry_back_off.base_interval.FromTimedelta(retries.backoff)


def _retry_on(policy: Any, text: str) -> None:
    """Istio's mixture of conditions and status codes, taken apart for Envoy."""
    tokens = [token for token in (part.strip() for part in text.split(",")) if token]
    codes = [int(token) for token in tokens if token.isascii() and token.isdigit()]
    conditions = [token for token in tokens if not (token.isascii() and token.isdigit())]
    if codes and _BY_STATUS not in conditions:
        conditions.append(_BY_STATUS)
    policy.retry_on = ",".join(conditions)
    del policy.retriable_status_codes[:]
    policy.retriable_status_codes.extend(dict.fromkeys(codes))


def _matched(action: Any, rule: HTTPRoute, match: HTTPMatch) -> Any:
    route = Route()
    route.CopyFrom(action)
    route.name = ".".join(name for name in (rule.name, match.name) if name)
    _path(route.match, match.uri)
    route.match.headers.extend(_header(name, match.headers[name]) for name in sorted(match.headers))
    return route


def _path(match: Any, uri: StringMatch | None) -> None:
    if uri is not None and uri.exact is not None:
        match.path = uri.exact
    elif uri is not None and uri.regex is not None:
        match.safe_regex.regex = uri.regex
    else:
        match.prefix = (uri.prefix if uri else None) or "/"


def _header(name: str, value: StringMatch) -> Any:
    header = HeaderMatcher(name=name)
    if value.exact is not None:
        header.string_match.exact = value.exact
    elif value.prefix is not None:
        header.string_match.prefix = value.prefix
    elif value.regex is not None and value.regex != "*":
        header.string_match.safe_regex.regex = value.regex
    else:
        header.present_match = True
    return header
