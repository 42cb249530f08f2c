"""What policies ask of a gRPC application in vain: said field by field where it is written, never passed over.

`routes`, `clusters` and `tls` decide what becomes of it. All of it are warnings: the same policies hold for Envoys, for which they
may well have been written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envoy.config.route.v3.route_components_pb2 import Route
from pydantic.alias_generators import to_camel

from reconciler.compile.clusters.subject import written
from reconciler.compile.effective import Effective, effective
from reconciler.compile.index import Index, Rule
from reconciler.compile.names import ClusterRef
from reconciler.compile.proxyless.clusters import Taken
from reconciler.compile.proxyless.routes import MOST_RETRIES, MOST_UNWANTED, RETRIABLE
from reconciler.compile.routes.conditions import holds
from reconciler.compile.routes.delegates import rules_of
from reconciler.compile.routes.matches import fill_match, is_catch_all
from reconciler.compile.routes.rules import RouteRule
from reconciler.compile.routes.strings import asks_for_presence
from reconciler.compile.viewer import Place
from reconciler.errors import Severity
from reconciler.model.key import Key
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.spec import Spec
from reconciler.model.trafficpolicy import ConnectionPool, LoadBalancer, SimpleLB
from reconciler.model.virtualservice import HTTPMatch, HTTPRetry

_ANSWERS = ("redirect", "direct_response")
_ROUTING = ("rewrite", "mirror", "mirrors", "cors_policy", "headers")
_RETRIES = ("per_try_timeout", "retry_remote_localities", "retry_ignore_previous_hosts")
_PSEUDO = ("scheme", "method", "authority")
_LATE = frozenset({"host", "user-agent", "te"})
_BY_ITSELF = frozenset({"connect-failure", "refused-stream"})
"""Retry conditions that gRPC always retries on, as such a call never reached an application (A6)."""
_ALIKE = frozenset({SimpleLB.ROUND_ROBIN, SimpleLB.UNSPECIFIED})
_BLOCKS = ("outlier_detection", "tunnel", "retry_budget")
_POOL = frozenset({"http2_max_requests", "h2_upgrade_policy", "use_client_protocol"})
"""Of `connectionPool.http`: what gRPC has, and what it has anyway."""


def of_rules(policies: Iterable[Key], place: Place, index: Index) -> tuple[Finding, ...]:
    """What the rules of VirtualServices ask for in vain in a place."""
    found: dict[Finding, None] = {}
    for key in policies:
        for rule, matches in _reached(rules_of(index.virtual_services[key], index).rules, place):
            found.update(dict.fromkeys(_of_rule(rule, index)))
            for number, match in matches:
                found.update(dict.fromkeys(_of_match(rule, number, match)))
    return tuple(found)


def _reached(rules: Iterable[RouteRule], place: Place) -> Iterator[tuple[RouteRule, list[tuple[int, HTTPMatch]]]]:
    """The rules that requests of a place can come to, with the matches that hold there."""
    for rule in rules:
        matches = [
            (number, match)
            for number, match in enumerate(rule.spec.match or (HTTPMatch(),))
            if holds(match, owner=rule.owner, place=place)
        ]
        if matches and not rule.failure:
            yield rule, matches
        if any(_takes_all(match) for _, match in matches):
            return


def _takes_all(match: HTTPMatch) -> bool:
    route = Route()
    fill_match(route.match, match)
    return is_catch_all(route)


def _of_rule(rule: RouteRule, index: Index) -> Iterator[Finding]:
    spec = rule.spec
    for name in _given(spec, _ANSWERS):
        yield _finding(
            "grpc-unsupported-answer",
            f"gRPC applications have no {_camel(name)}: their requests for this rule fail with UNAVAILABLE",
            "give gRPC clients a `route`, by a rule of their own with `sourceLabels`",
            rule.owner.origin,
            (*rule.path, _camel(name)),
        )
    for name in _given(spec, _ROUTING):
        yield _idle(_camel(name), rule.owner.origin, (*rule.path, _camel(name)))
    for number, share in enumerate(spec.route):
        if share.headers is not None:
            yield _idle("headers", rule.owner.origin, (*rule.path, "route", number, "headers"))
    if spec.retries is not None and spec.retries.attempts > 0:
        yield from _of_retries(rule, spec.retries)
    limiting = index.limits.of_rule(rule.owner.key, rule.written)
    if limiting is not None:
        yield _idle("RateLimit", limiting.origin, ("spec", "target"))


def _of_retries(rule: RouteRule, retries: HTTPRetry) -> Iterator[Finding]:
    path: FieldPath = (*rule.path, "retries")
    for name in _given(retries, _RETRIES):
        yield _idle(_camel(name), rule.owner.origin, (*path, _camel(name)))
    if retries.attempts > MOST_RETRIES:
        yield _finding(
            "grpc-unsupported-field",
            f"gRPC applications retry at most {MOST_RETRIES} times",
            f"ask for {MOST_RETRIES} `attempts` or fewer",
            rule.owner.origin,
            (*path, "attempts"),
        )
    asked = [item.strip() for item in retries.retry_on.split(",") if item.strip()]
    unknown = [item for item in asked if item not in RETRIABLE | _BY_ITSELF]
    if unknown:
        yield _finding(
            "grpc-unsupported-field",
            f"gRPC applications don't retry on {', '.join(unknown)}",
            f"add the gRPC statuses that are meant: {', '.join(sorted(RETRIABLE))}",
            rule.owner.origin,
            (*path, "retryOn"),
        )


def _of_match(rule: RouteRule, number: int, match: HTTPMatch) -> Iterator[Finding]:
    path: FieldPath = (*rule.path, "match", number)
    for name in ("query_params", *_PSEUDO):
        if getattr(match, name):
            yield _never(name, rule, (*path, _camel(name)))
    for field, headers in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for name in headers:
            if _is_unseen(name.lower()):
                yield _never(name, rule, (*path, field, name))
    valued = [name for name, value in match.without_headers.items() if not asks_for_presence(value)]
    if len(valued) > MOST_UNWANTED:
        yield _finding(
            "grpc-unsupported-match",
            f"for gRPC applications only the first {MOST_UNWANTED} of these by name may have another value; the others have "
            "to be absent",
            "ask for fewer headers in one match",
            rule.owner.origin,
            (*path, "withoutHeaders"),
        )
    if match.stat_prefix:
        yield _idle("statPrefix", rule.owner.origin, (*path, "statPrefix"))


def _is_unseen(header: str) -> bool:
    """Whether it isn't there yet when a gRPC client chooses a route, or never looked at (measured with gRPC 1.85)."""
    pseudo = header.startswith(":") and header != ":path"
    return pseudo or header in _LATE or header.endswith("-bin")


def _never(name: str, rule: RouteRule, path: FieldPath) -> Finding:
    return _finding(
        "grpc-unsupported-match",
        f"gRPC applications don't look at {_camel(name)} when they choose a rule, as if requests had none",
        "match on `uri` and on metadata (`headers`), or give them a rule of their own with `sourceLabels`",
        rule.owner.origin,
        path,
    )


def of_cluster(ref: ClusterRef, rule: Rule | None, taken: Taken, index: Index) -> Iterator[Finding]:
    """What a DestinationRule, or the service itself, asks for in vain."""
    service = index.services.get(ref.host)
    if taken.problem:
        origin, path = written(rule, ref, taken.setting) if taken.setting else (None, ())
        if origin is None and service is not None:
            origin, path = service.origin, ("spec", "resolution")
        yield _unreachable(
            f"requests of gRPC applications for {ref.host}:{ref.port} fail: {taken.problem}", origin, path
        )
    if taken.left_out:
        message = f"gRPC applications can't call endpoints of {ref.host} that are Unix sockets"
        yield _unreachable(message, service.origin if service else None, ("spec", "endpoints"))
    probe = index.probing.of_cluster(ref)
    if probe is not None:
        yield _idle("HealthCheck", probe.origin, ("spec", "host"))
    policy = effective(rule, ref.subset, ref.port)
    for block in _BLOCKS:
        if getattr(policy, block) is not None:
            origin, path = written(rule, ref, block)
            yield _idle(_camel(block), origin, path)
    for block, steps in _inside(policy):
        origin, path = written(rule, ref, block)
        yield _idle(_camel(str(steps[-1])), origin, (*path, *(_camel(str(step)) for step in steps)))


def _inside(policy: Effective) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The fields without effect in blocks that have some, as block and the steps in it."""
    if policy.connection_pool is not None:
        for steps in of_pool(policy.connection_pool):
            yield "connection_pool", steps
    if policy.load_balancer is not None:
        for name in _of_balancer(policy.load_balancer):
            yield "load_balancer", (name,)
    if policy.tls is not None and policy.tls.sni:
        yield "tls", ("sni",)


def of_pool(pool: ConnectionPool) -> Iterator[tuple[str, ...]]:
    """The limits that gRPC applications don't have."""
    if pool.tcp is not None:
        yield from (("tcp", name) for name in sorted(pool.tcp.model_fields_set))
    if pool.http is not None:
        yield from (("http", name) for name in sorted(pool.http.model_fields_set - _POOL))


def _of_balancer(balancer: LoadBalancer) -> Iterator[str]:
    hashing = balancer.consistent_hash
    if hashing is not None and (hashing.http_header_name is None or hashing.maglev is not None):
        yield "consistent_hash"
    elif hashing is None and balancer.simple is not None and balancer.simple not in _ALIKE:
        yield "simple"
    yield from _given(balancer, ("warmup", "warmup_duration_secs"))


def _unreachable(message: str, origin: Origin | None, path: FieldPath) -> Finding:
    hint = "give gRPC applications addresses (resolution STATIC) or a single name, with no TLS or their own certificate"
    return _finding("grpc-unreachable", message, hint, origin, path)


def _idle(name: str, origin: Origin | None, path: FieldPath) -> Finding:
    message = f"{name} has no effect on gRPC applications, only on Envoys"
    hint = "leave it if it is for Envoys; else do it in the application"
    return _finding("grpc-unsupported-field", message, hint, origin, path)


def _finding(code: str, message: str, hint: str, origin: Origin | None, path: FieldPath) -> Finding:
    return Finding(code=code, message=message, hint=hint, severity=Severity.WARNING, origin=origin, path=path)


def _given(spec: Spec, fields: Iterable[str]) -> list[str]:
    return [name for name in fields if getattr(spec, name) not in (None, ())]


def _camel(name: str) -> str:
    return to_camel(name) if "_" in name else name
