"""Delegates: the rules of another VirtualService in place of a rule, narrowed by its matches (Istio's `mergeHTTPRoutes`).

Istio leaves out, in silence, what doesn't fit together. Here each has a finding, and requests for a delegate that isn't
there are answered with an error instead of going to the rules that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.compile.index import Index
from reconciler.compile.routes.conditions import gateway_name
from reconciler.compile.routes.narrowing import narrowed
from reconciler.compile.routes.rules import RouteRule, Rules
from reconciler.errors import Severity
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.virtualservice import Delegate, Destination, HTTPMatch, HTTPRoute, VirtualService
from reconciler.model.visibility import exported, visible

_INHERITED = ("rewrite", "timeout", "retries", "fault", "cors_policy", "headers")
"""What a delegate's rule has from the root where it says nothing itself."""


def rules_of(policy: Policy[VirtualService], index: Index) -> Rules:
    """The rules of a VirtualService, with those of its delegates where it names them."""
    rules: list[RouteRule] = []
    findings: list[Finding] = []
    for number, spec in enumerate(policy.spec.http):
        rule = RouteRule(spec=spec, owner=policy, path=("spec", "http", policy.place(number)))
        if spec.delegate is None:
            rules.append(rule)
            continue
        for item in _delegated(rule, spec.delegate, index):
            if isinstance(item, Finding):
                findings.append(item)
            else:
                rules.append(item)
    hosts = {
        index.resolve(share.destination.host, rule.owner): None
        for rule in rules
        if not rule.failure
        for share in rule.spec.route
    }
    return Rules.of(policy, rules, hosts, findings)


def _delegated(root: RouteRule, delegate: Delegate, index: Index) -> Iterator[RouteRule | Finding]:
    key = Key(delegate.namespace or root.owner.key.namespace, delegate.name)
    policy = index.virtual_services.get(key)
    problem = _problem(policy, root.owner)
    if policy is None or problem:
        yield _unusable(root, f"the delegate {key} {problem}", ("delegate",))
        yield RouteRule(spec=root.spec, owner=root.owner, path=root.path, failure="its delegate can't be used")
        return
    for number, spec in enumerate(policy.spec.http):
        leaf = RouteRule(spec=spec, owner=policy, path=("spec", "http", policy.place(number)))
        if spec.delegate is not None:
            yield _unusable(leaf, "a delegate's rule has a delegate itself", ("delegate",))
        matches = _matches(root, leaf)
        if matches is None:
            yield _conflict(root, leaf)
            continue
        failure = "a delegate delegates" if spec.delegate is not None else ""
        yield RouteRule(spec=_merged(root, spec, matches, index), owner=policy, path=leaf.path, failure=failure)


def _problem(policy: Policy[VirtualService] | None, root: Policy[VirtualService]) -> str:
    if policy is None:
        return "does not exist"
    if policy.spec.hosts:
        return "has hosts, so nobody can delegate to it"
    if not visible(exported(policy.spec.export_to, policy.key.namespace), root.key.namespace):
        return f"is not exported to namespace {root.key.namespace}"
    return ""


def _matches(root: RouteRule, leaf: RouteRule) -> tuple[HTTPMatch, ...] | None:
    """Every match of the leaf within every match of the root that it fits; None if one fits nowhere, as in Istio."""
    outer = [_resolved(match, root.owner) for match in root.spec.match]
    inner = [_resolved(match, leaf.owner) for match in leaf.spec.match]
    if not outer or not inner:
        return tuple(outer or inner)
    found: list[HTTPMatch] = []
    for match in inner:
        fitting = [item for item in (narrowed(limits, match) for limits in outer) if item is not None]
        if not fitting:
            return None
        found.extend(fitting)
    return tuple(found)


def _resolved(match: HTTPMatch, owner: Policy[VirtualService]) -> HTTPMatch:
    """A match with its gateways in full, so that it may stand in another namespace's document."""
    if not match.gateways:
        return match
    return match.model_copy(update={"gateways": tuple(gateway_name(name, owner) for name in match.gateways)})


def _merged(root: RouteRule, leaf: HTTPRoute, matches: tuple[HTTPMatch, ...], index: Index) -> HTTPRoute:
    update: dict[str, Any] = {name: getattr(root.spec, name) for name in _INHERITED if getattr(leaf, name) is None}
    update["match"] = matches
    update["name"] = "-".join(name for name in (root.spec.name, leaf.name) if name)
    if leaf.mirror is None and not leaf.mirrors:
        update["mirror"] = _in_full(root.spec.mirror, root.owner, index)
        update["mirrors"] = tuple(
            item.model_copy(update={"destination": _in_full(item.destination, root.owner, index)})
            for item in root.spec.mirrors
        )
    if leaf.mirror_percentage is None and leaf.mirror_percent is None:
        update["mirror_percentage"] = root.spec.mirror_percentage
        update["mirror_percent"] = root.spec.mirror_percent
    return leaf.model_copy(update=update)


def _in_full(destination: Destination | None, owner: Policy[VirtualService], index: Index) -> Destination | None:
    if destination is None:
        return None
    return destination.model_copy(update={"host": index.resolve(destination.host, owner)})


def _unusable(rule: RouteRule, message: str, path: FieldPath) -> Finding:
    return Finding(
        code="delegate-unusable",
        message=f"{message}; requests for this rule are answered with status 500",
        hint="a delegate is a VirtualService without hosts that the namespace sees, and does not delegate itself",
        origin=rule.owner.origin,
        path=(*rule.path, *path),
    )


def _conflict(root: RouteRule, leaf: RouteRule) -> Finding:
    where = f"{root.spec.name or f'rule {int(root.path[-1]) + 1}'} of {root.owner.key}, in {root.owner.origin.file}"
    return Finding(
        code="delegate-conflict",
        message=f"a match of this rule lies outside the matches of {where}, which delegates to it; the rule is left out there",
        hint="let each of its conditions be at least as narrow as one match of the other: /a/b within /a",
        severity=Severity.WARNING,
        origin=leaf.owner.origin,
        path=leaf.path,
    )
