"""Which proxies carry a rollout's split, under which cluster names, and which of them are proven to have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from reconciler.cycle.desired import Desired
from reconciler.model.hosts import fqdn
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import Proxy, RuntimeRoute
from reconciler.model.receipt import OutcomeKind, Receipt
from reconciler.model.resource import ResourceType, View
from reconciler.model.splits import splits
from reconciler.model.virtualservice import VirtualService
from reconciler.rollouts.course import Course
from reconciler.rollouts.facts import Verified
from reconciler.rollouts.weights import service_of

_BACK = 50
_WHOLE = timedelta(seconds=1)
"""A commit's time is in whole seconds, rounded down; a step that counted from there would be that much too short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The clusters by which one proxy sends a rollout's traffic.

    Attributes:
        canary: Names; several if the service has several ports.
        stable: As for the canary.
    """

    canary: frozenset[str] = field(default_factory=frozenset)
    stable: frozenset[str] = field(default_factory=frozenset)


def scope(desired: Desired, course: Course) -> Mapping[Key, Clusters]:
    """The proxies that carry the split, sorted by key."""
    policy = service_of(course, desired.source)
    if policy is None:
        return {}
    hosts = frozenset(_hosts(policy, course, desired.source))
    found: dict[Key, Clusters] = {}
    for proxy in desired.mesh.proxies:
        view = desired.views[proxy.key]
        if proxy.spec.push.runtime is not None:
            clusters = _mapped(proxy, policy, course)
        else:
            clusters = _carried(view, hosts, course)
        if clusters.canary and clusters.stable:
            found[proxy.key] = clusters
    return dict(sorted(found.items()))


def verified(desired: Desired, course: Course, proxies: Iterable[Key], receipts: Iterable[Receipt]) -> Verified:
    """How far what this commit asks of these proxies is live, by the receipts alone.

    Args:
        desired: What `main` asks for.
        course: The rollout.
        proxies: Who carries its split.
        receipts: Newest first. They are read as far back as they show the same, to find when it was shown first.
    """
    scoped = frozenset(proxies)
    rest = iter(receipts)
    last = next(rest, None)
    laggards = _laggards(desired, scoped, last)
    since = None
    if last is not None and len(laggards) <= course.spec.max_laggards:
        since = last.at + _WHOLE
        for receipt in islice(rest, _BACK):
            if len(_laggards(desired, scoped, receipt)) > course.spec.max_laggards:
                break
            since = receipt.at + _WHOLE
    return Verified(scope=scoped, laggards=laggards, since=since)


def _laggards(desired: Desired, scoped: Iterable[Key], last: Receipt | None) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for key in sorted(scoped):
        entry = last.proxies.get(key) if last is not None else None
        if entry is None:
            found[key] = "it has not been pushed to yet"
        elif entry.outcome is not OutcomeKind.APPLIED:
            found[key] = entry.detail or f"it is {entry.outcome}"
        elif entry.view != desired.views[key].version:
            found[key] = "what it was proven to have is older"
    return found


def _hosts(policy: Policy[VirtualService], course: Course, mesh: Mesh) -> Iterator[str]:
    domain = mesh.settings.domain
    for split in splits(course.spec, policy, domain=domain):
        host = policy.spec.http[split.rule].route[split.canary].destination.host
        yield fqdn(host, namespace=policy.key.namespace, domain=domain)


def _carried(view: View, hosts: frozenset[str], course: Course) -> Clusters:
    """Of a whole Envoy: the subsets' clusters that a route configuration of it names; weights of 0 are in there too."""
    bodies = [item.body for item in view.of_type(ResourceType.ROUTE)]
    names = [item.id.name for item in view.of_type(ResourceType.CLUSTER)]

    def of(subset: str) -> frozenset[str]:
        ends = tuple(f"|{subset}|{host}" for host in hosts)  # as Istio names them: outbound|<port>|<subset>|<host>
        found = (name for name in names if name.endswith(ends) and name.startswith("outbound|"))
        return frozenset(name for name in found if any(name.encode() in body for body in bodies))

    return Clusters(canary=of(course.spec.canary), stable=of(course.spec.stable))


def mapped_routes(proxy: Policy[Proxy], service: Policy[VirtualService], course: Course) -> tuple[RuntimeRoute, ...]:
    """What an Envoy that someone else configures says of the rules that a rollout moves; nothing of a whole Envoy.

    Args:
        proxy: The Envoy.
        service: The VirtualService that the rollout names.
        course: The rollout.
    """
    push, routes = proxy.spec.push.runtime, course.spec.target.virtual_service.routes
    return tuple(
        item
        for item in (push.routes if push is not None else ())
        if proxy.resolve(item.virtual_service) == service.key and (not routes or not item.route or item.route in routes)
    )


def _mapped(proxy: Policy[Proxy], service: Policy[VirtualService], course: Course) -> Clusters:
    items = [item.clusters for item in mapped_routes(proxy, service, course)]
    canary = {item[course.spec.canary] for item in items if course.spec.canary in item}
    stable = {item[course.spec.stable] for item in items if course.spec.stable in item}
    return Clusters(canary=frozenset(canary), stable=frozenset(stable))
