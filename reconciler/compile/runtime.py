"""The view of an Envoy that someone else configures: runtime keys for the weights of its mapped routes.

Nothing else of such an Envoy is ours. What the mapped VirtualServices ask for beyond weights is reported by name; and a
split is pushed whole or not at all, because Envoy mixes overridden weights with the configured ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.errors import Severity
from reconciler.model.hosts import fqdn
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.proxy import Proxy, RuntimePush, RuntimeRoute
from reconciler.model.resource import Resource, ResourceType, View
from reconciler.model.virtualservice import HTTPRoute, VirtualService

_HINTS = {
    "runtime-key": "give each mapped route a `prefix` of its own",
    "runtime-shared-cluster": "map each subset to a cluster of its own; destinations that differ otherwise need subsets of their own names",
    "runtime-unmapped-destination": "add the subset to the mapping's `clusters`, with the cluster's name in that Envoy",
    "runtime-unweighted-route": "write the split with all its destinations, with weight 0 for those that get nothing",
}


@dataclass(frozen=True, slots=True)
class _Mapped:
    """A rule of a VirtualService, and where the proxy's document maps it."""

    proxy: Policy[Proxy]
    path: FieldPath
    mapping: RuntimeRoute
    policy: Policy[VirtualService]
    number: int

    @property
    def rule(self) -> HTTPRoute:
        return self.policy.spec.http[self.number]

    @property
    def label(self) -> str:
        return f"route {self.rule.name or self.number} of VirtualService {self.policy.key}"


def runtime_view(proxy: Policy[Proxy], push: RuntimePush, mesh: Mesh) -> View:
    """The runtime keys of a proxy, `<prefix>.<cluster>` to weight, and what its policies ask for in vain."""
    policies = {policy.key: policy for policy in sorted(mesh.virtual_services, key=lambda item: item.key)}
    findings: list[Finding] = []
    mapped: list[_Mapped] = []
    for number, mapping in enumerate(push.routes):
        found = _find(proxy, ("spec", "push", "runtime", "routes", number), mapping, policies)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            mapped.append(found)
    findings.extend(_unmapped(proxy, mapped))
    keys: dict[str, int] = {}
    for item in mapped:
        weights, problems = _weights(item, mesh.settings.domain)
        taken = sorted(set(weights) & set(keys))
        if taken and not problems:
            problems = [_report(item, "runtime-key", f"the key {taken[0]} is another mapped route's already")]
        findings.extend(problems)
        findings.extend(_beyond(item))
        if not any(problem.severity is Severity.ERROR for problem in problems):
            keys |= weights
    resources = [Resource.of(ResourceType.RUNTIME, key, str(weight).encode()) for key, weight in keys.items()]
    return View.of(proxy.key, resources, findings)


def _find(
    proxy: Policy[Proxy], path: FieldPath, mapping: RuntimeRoute, policies: dict[Key, Policy[VirtualService]]
) -> _Mapped | Finding:
    policy = policies.get(proxy.resolve(mapping.virtual_service))
    rules = policy.spec.http if policy else ()
    numbers = [number for number, rule in enumerate(rules) if not mapping.route or rule.name == mapping.route]
    if policy is not None:
        numbers = [number for number in numbers if not policy.put_in(number)]
    if policy is not None and len(numbers) == 1:
        return _Mapped(proxy, path, mapping, policy, numbers[0])
    wanted = f"route {mapping.route} of " if mapping.route else ""
    several = "there are several routes, and the mapping names none" if not mapping.route else "the name is not unique"
    missing = f"{wanted}VirtualService {mapping.virtual_service} is not there"
    return Finding(
        code="runtime-unknown-route",
        message=f"{proxy.key} can't be given the weights of {wanted}VirtualService {mapping.virtual_service}: "
        f"{several if numbers else missing}",
        hint="name one `http` rule of a VirtualService by `virtualService` and `route`",
        origin=proxy.origin,
        path=path,
    )


def _unmapped(proxy: Policy[Proxy], mapped: Iterable[_Mapped]) -> Iterator[Finding]:
    """Rules that no mapping names, of VirtualServices of which others are mapped."""
    known: dict[Key, tuple[Policy[VirtualService], set[int]]] = {}
    for item in mapped:
        known.setdefault(item.policy.key, (item.policy, set()))[1].add(item.number)
    for key in sorted(known):
        policy, numbers = known[key]
        for number, rule in enumerate(policy.spec.http):
            if number not in numbers:
                yield Finding(
                    code="runtime-unmapped-route",
                    message=f"route {rule.name or number} of VirtualService {key} is not mapped on {proxy.key}",
                    hint="add it to the proxy's `push.runtime.routes`, or change that Envoy's own configuration",
                    severity=Severity.WARNING,
                    origin=policy.origin,
                    path=("spec", "http", policy.place(number)),
                )


def _weights(item: _Mapped, domain: str) -> tuple[dict[str, int], list[Finding]]:
    """The keys of a mapped split: its destinations' weights, and 0 for mapped clusters that it no longer has."""
    if len(item.rule.route) < 2:  # noqa: PLR2004 -- what makes a split
        message = "it has a single destination, and so no weights to push"
        return {}, [_report(item, "runtime-unweighted-route", message)]
    problems: list[Finding] = []
    weights = {f"{item.mapping.prefix}.{cluster}": 0 for _, cluster in sorted(item.mapping.clusters.items())}
    used: dict[str, tuple[str, str, int | None]] = {}
    for number, share in enumerate(item.rule.route):
        destination, subset = share.destination, share.destination.subset
        host = fqdn(destination.host, namespace=item.policy.key.namespace, domain=domain)
        target = (subset, host, destination.port.number if destination.port else None)
        cluster = item.mapping.clusters.get(subset)
        if cluster is None:
            message = f"the subset {subset!r} of its destination {number} is not in the mapping's `clusters`"
            problems.append(_report(item, "runtime-unmapped-destination", message))
        elif (other := used.setdefault(cluster, target)) != target:
            what = f"the subsets {other[0]!r} and {subset!r}"
            if other[0] == subset:
                what = f"destinations of different hosts or ports, both with the subset {subset!r},"
            message = f"{what} are both mapped to {cluster}, whose weight is one key"
            problems.append(_report(item, "runtime-shared-cluster", message))
        else:
            weights[f"{item.mapping.prefix}.{cluster}"] += share.weight
    return weights, problems


def _beyond(item: _Mapped) -> Iterator[Finding]:
    """What a rule says besides its split: that stays as the Envoy's own configuration has it."""
    said = {"match": item.rule.match, "timeout": item.rule.timeout, "retries": item.rule.retries}
    for name in sorted(name for name, value in said.items() if value not in (None, ())):
        yield Finding(
            code="runtime-unsupported-field",
            message=f"`{name}` of {item.label} can't be pushed to {item.proxy.key}, only weights can",
            hint="its own configuration has to say the same",
            severity=Severity.WARNING,
            origin=item.policy.origin,
            path=("spec", "http", item.policy.place(item.number), name),
        )


def _report(item: _Mapped, code: str, why: str) -> Finding:
    return Finding(
        code=code,
        message=f"the weights of {item.label} can't be pushed to {item.proxy.key}: {why}",
        hint=_HINTS[code],
        origin=item.proxy.origin,
        path=item.path,
    )
