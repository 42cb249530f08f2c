"""Guards: reasons to refuse a plan before anything is sent.

A guard is a class with a code, a hint and one method that yields objections about one proxy's plan; `GUARDS` lists them.
They judge drift repairs too: what Git says may have become dangerous while somebody kept a proxy off it by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.model.plan import Cause, Plan, ProxyPlan
from reconciler.model.proxy import Guards
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.plan.scene import Scene
from reconciler.plan.splits import Split, labels
from reconciler.plan.standstill import NO_STANDSTILL, Standstill
from reconciler.plan.words import count, number, percent, show_proxies

_ROUNDING = 1e-9
_SUBSET = 2


class Guard(Protocol):
    """One reason to refuse."""

    @property
    def code(self) -> str:
        """What `--allow` takes."""

    def hint(self, limits: Guards) -> str:
        """What to do instead of allowing it."""

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """What is dangerous about one proxy's plan, with all numbers and without the proxy's name."""


@dataclass(frozen=True, slots=True)
class WeightIncrease:
    """A destination's share of a route may not grow by more than `maxWeightIncrease` points in one change.

    Exempt: a route that is new, and a split that a recent receipt shows as verified, so that no rollback is refused.
    """

    code: str = "guard-weight-increase"

    def hint(self, limits: Guards) -> str:
        """Smaller steps."""
        return f"move it in steps of at most {number(limits.max_weight_increase)} points"

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """One for each destination that grows too fast."""
        limit = scene.limits.max_weight_increase
        for item in scene.reroutings(proxy):
            if item.old is None:
                continue
            names = labels(item.old, item.new)
            for cluster, after in item.new.shares:
                before = item.old.share(cluster)
                if after - before > limit + _ROUNDING and not scene.proven(item.new):
                    yield (
                        f"{_route(item.new)}: {names[cluster]} would go from {percent(before)} to {percent(after)}, "
                        f"up {number(after - before)} points; the limit is {number(limit)} in one change"
                    )


@dataclass(frozen=True, slots=True)
class DeletePercent:
    """At most `maxDeletePercent` of a proxy's live resources may be deleted at once, but always one, unless it is 0.

    A cluster and its endpoints count as one resource: they always go together. Rounded down; the one that is always allowed
    lets a proxy of three lose one, and there is no size below which a proxy is not protected. Updates don't count, nor do
    runtime overrides on a proxy that is configured fully. A view that becomes empty is left to `EmptyView`.
    """

    code: str = "guard-delete-percent"

    def hint(self, limits: Guards) -> str:
        """Fewer at a time."""
        return f"delete fewer at a time, at most {number(limits.max_delete_percent)}%"

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """One if too much goes."""
        if not scene.view(proxy).resources:
            return
        live = scene.live(proxy)
        total, deleted = _units(live, live), _units(scene.deleted(proxy), live)
        limit = scene.limits.max_delete_percent
        allowed = max(1, math.floor(total * limit / 100 + _ROUNDING)) if limit else 0
        if deleted > allowed:
            yield (
                f"{deleted} of {count(total, 'live resource')} would be deleted ({percent(100 * deleted / total)}); "
                f"the limit is {allowed} at once ({percent(limit)}, and always one)"
                if limit
                else f"{deleted} of {count(total, 'live resource')} would be deleted; maxDeletePercent is 0"
            )


@dataclass(frozen=True, slots=True)
class EmptyView:
    """A proxy that has something may not be left with nothing."""

    code: str = "guard-empty-view"

    def hint(self, limits: Guards) -> str:  # noqa: ARG002 -- there is no limit to it
        """What is usually behind it."""
        return "look for policies or a Sidecar that went by mistake"

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """One if everything goes."""
        deleted = scene.deleted(proxy)
        if deleted and not scene.view(proxy).resources:
            yield f"the view is empty: all {count(len(deleted), 'live resource')} would be deleted"


@dataclass(frozen=True, slots=True)
class NoHealthyEndpoint:
    """A share may not grow, or begin, on a subset that has no endpoint to take it.

    Exempt, where a recent receipt shows the split as verified: putting it back after hand-made drift, and a proxy that has nothing
    yet. Instances may all be gone for a while; no proxy that starts meanwhile must go without everything else for that.
    """

    code: str = "guard-no-healthy-endpoint"

    def hint(self, limits: Guards) -> str:  # noqa: ARG002 -- there is no limit to it
        """Endpoints first."""
        return "bring up its endpoints first"

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """One for each share of a subset without endpoints."""
        for item in scene.reroutings(proxy):
            names = labels(item.old, item.new)
            for cluster, after in item.new.shares:
                before = item.old.share(cluster) if item.old else 0.0
                if after <= before + _ROUNDING or not _is_subset(cluster):
                    continue
                found = scene.serving(proxy, cluster)
                again = item.cause is Cause.DRIFT or not proxy.live
                if found is None or found[0] or (again and scene.proven(item.new)):
                    continue
                yield (
                    f"{_route(item.new)}: {names[cluster]} would go from {percent(before)} to {percent(after)}, "
                    f"and {found[0]} of its {count(found[1], 'endpoint')} can take requests ({cluster})"
                )


@dataclass(frozen=True, slots=True)
class SilentRegistry:
    """A proxy that serves may not be changed as long as nothing is known of a registry: what that lists would be taken for gone.

    Exempt: a proxy that has nothing yet, which loses nothing.
    """

    code: str = "guard-silent-registry"

    def hint(self, limits: Guards) -> str:  # noqa: ARG002 -- there is no limit to it
        """Ask it, or do without."""
        return "bring it up, or take it out of Mesh.discovery"

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """One if it matters."""
        if scene.silent and proxy.live:
            yield f"nothing is known of what {' and '.join(scene.silent)} lists, and its services would be taken for gone"


@dataclass(frozen=True, slots=True)
class Freeze:
    """No change of Git's is made while a freeze of the Mesh is open: a `Deny` window, or none of its `Allow` windows.

    Exempt: what goes back to where its proxy came from, as receipts show, aborts, and what brings nothing new. Drift is corrected.
    """

    code: str = "guard-freeze"

    def hint(self, limits: Guards) -> str:  # noqa: ARG002 -- there is no limit to it
        """Patience."""
        return "wait: the pass at its end applies it"

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """One if it is held."""
        if words := scene.standstill.objection(proxy, scene.standstill.frozen):
            yield words


@dataclass(frozen=True, slots=True)
class Suspended:
    """No change of Git's is made while `Mesh.suspend` says so.

    Exempt: as in a freeze.
    """

    code: str = "guard-suspended"

    def hint(self, limits: Guards) -> str:  # noqa: ARG002 -- there is no limit to it
        """Who ends it."""
        return "wait, or end it for everybody: reconcile resume"

    def objections(self, proxy: ProxyPlan, scene: Scene) -> Iterator[str]:
        """One if it is held."""
        if words := scene.standstill.objection(proxy, scene.standstill.suspended):
            yield words


GUARDS: tuple[Guard, ...] = (
    Suspended(),
    Freeze(),
    SilentRegistry(),  # first, as what others object to may only follow from it
    WeightIncrease(),
    DeletePercent(),
    EmptyView(),
    NoHealthyEndpoint(),
)
GUARD_CODES = frozenset(guard.code for guard in GUARDS)


def _never() -> Sequence[Split]:
    return ()


def _identity(item: Resource) -> Resource:
    return item


def check(
    plan: Plan,
    *,
    views: Mapping[Key, View],
    limits: Guards,
    allow: Collection[str] = (),
    verified: Callable[[], Sequence[Split]] = _never,
    prefixes: Mapping[Key, Collection[str]] = MappingProxyType({}),
    fresh: Callable[[Resource], Resource | None] = _identity,
    silent: Collection[str] = (),
    standstill: Standstill = NO_STANDSTILL,
) -> tuple[Diagnostic, ...]:
    """What the guards say about a plan; nothing if it is safe.

    Equal objections about several proxies are one diagnostic that names them. Errors are refusals: the plan must not be
    pushed. Warnings are objections that `allow` overrides, and codes in it that are no guard's (`allow-unknown`).

    Args:
        plan: Its `refused` is not looked at.
        views: What each proxy of the plan should have.
        limits: From the Mesh.
        allow: Codes from `--allow` and from `Reconcile-Allow:` trailers.
        verified: Splits that receipts of the last 30 days show as verified; called at most once, and only if it matters.
        prefixes: Each runtime proxy's prefixes, to tell prefix from cluster in its keys; guessed at the last dot if absent.
        fresh: A resource with the newest endpoints, by which it is judged whether a subset can serve; itself if it has no recipe,
            None where no registry was asked: then that is not judged.
        silent: Registries of which nothing is known, neither now nor from before.
        standstill: What holds changes now.
    """
    scene = Scene(limits, views, verified, prefixes, fresh, tuple(silent), standstill)
    found = [item for guard in GUARDS for item in _objections(guard, plan, scene)]
    return (*(_allowed(item) if item.code in allow else item for item in found), *_unknown(allow))


def _objections(guard: Guard, plan: Plan, scene: Scene) -> Iterator[Diagnostic]:
    found: dict[str, list[Key]] = {}
    for proxy in plan.proxies:
        if proxy.changes:
            for text in guard.objections(proxy, scene):
                found.setdefault(text, []).append(proxy.proxy)
    acknowledge = f"`--allow {guard.code}` or the commit trailer `Reconcile-Allow: {guard.code}`"
    for text, proxies in found.items():
        yield Diagnostic(
            code=guard.code,
            message=f"{text}, on {show_proxies(dict.fromkeys(proxies))}",
            hint=f"{guard.hint(scene.limits)}, or acknowledge it with {acknowledge}",
        )


def _allowed(item: Diagnostic) -> Diagnostic:
    return replace(item, severity=Severity.WARNING, message=f"allowed: {item.message}", hint="")


def _unknown(allow: Iterable[str]) -> Iterator[Diagnostic]:
    for code in sorted(set(allow) - GUARD_CODES):
        yield Diagnostic(
            code="allow-unknown",
            severity=Severity.WARNING,
            message=f"no guard is called {code!r}, so nothing is allowed by it",
            hint=f"the guards are {', '.join(sorted(GUARD_CODES))}",
        )


def _units(ids: Collection[ResourceId], live: Collection[ResourceId]) -> int:
    """How many resources these are; a live cluster's endpoints count with it, secrets with whatever refers to them."""
    return sum(
        id_.type is not ResourceType.SECRET
        and (id_.type is not ResourceType.ENDPOINTS or ResourceId(ResourceType.CLUSTER, id_.name) not in live)
        for id_ in ids
    )


def _route(split: Split) -> str:
    if not split.route_config:
        return f"runtime keys {split.route}.*"
    return f"route {split.route} of {split.virtual_host} in {split.route_config}"


def _is_subset(cluster: str) -> bool:
    parts = cluster.split("|")
    return parts[0] == "outbound" and len(parts) > _SUBSET and bool(parts[_SUBSET])
