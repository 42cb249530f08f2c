"""From a plan to what is pushed: whom, and how far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.cycle.desired import Desired
from reconciler.errors import Diagnostic, Severity, UsageError
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.observation import Observation
from reconciler.model.plan import Cause, Change, Plan
from reconciler.model.proxy import DriftPolicy, Proxy
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.model.resource import Resource, ResourceId, View
from reconciler.push import Target
from reconciler.xds import Plane


class NeedsDaemonError(UsageError):
    """Proxies on ADS can only be pushed to by the process that their streams end in."""

    default_code = "ads-needs-daemon"


NEEDS_DAEMON = NeedsDaemonError.default_code


def require_streams(proxies: Iterable[Policy[Proxy]], plane: Plane | None) -> None:
    """Refuse to push to proxies on ADS where their streams don't end.

    Raises:
        NeedsDaemonError: There are some, and this process serves no ADS.
    """
    waiting = [str(proxy.key) for proxy in proxies if proxy.spec.push.ads is not None]
    if waiting and plane is None:
        raise NeedsDaemonError(
            f"{_on_ads(waiting)} pushed to by ADS, which only a daemon can do",
            hint="run `reconcile daemon --ads HOST:PORT` for this repository; `reconcile` then asks it for its passes",
        )


def require_ours(mesh: Mesh, select: Sequence[Key], plane: Plane | None) -> None:
    """Refuse a pass that a daemon has to do: over proxies on ADS, or over one that only a daemon may know.

    Raises:
        NeedsDaemonError: This process serves no ADS, and the pass needs it.
    """
    unknown = set(select) - {proxy.key for proxy in mesh.proxies}
    if unknown and plane is None:
        raise NeedsDaemonError(f"no document of this mesh declares {min(unknown)}")
    require_streams(members(mesh, select), plane)


def unseen(proxies: Iterable[Policy[Proxy]], plane: Plane | None) -> tuple[Diagnostic, ...]:
    """A warning where a preview is made without the streams that some of these proxies hold to a daemon."""
    waiting = [str(proxy.key) for proxy in proxies if proxy.spec.push.ads is not None]
    if not waiting or plane is not None:
        return ()
    return (
        Diagnostic(
            code="ads-preview",
            message=f"{_on_ads(waiting)} pushed to by ADS, and no daemon was asked: proxies that announce themselves, and"
            " what proxies without an admin endpoint have, are missing",
            severity=Severity.WARNING,
            hint="start `reconcile daemon --ads HOST:PORT` for this repository; then a dry run of its branch asks it",
        ),
    )


def _on_ads(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more are" if len(names) > 1 else f"{names[0]} is"


def members(mesh: Mesh, select: Sequence[Key]) -> list[Policy[Proxy]]:
    """The proxies a pass is about, by key.

    Raises:
        UsageError: A selected proxy is not in the mesh.
    """
    if not select:
        return list(mesh.proxies)
    found = {proxy.key: proxy for proxy in mesh.proxies}
    missing = [str(key) for key in select if key not in found]
    if missing:
        names = ", ".join(str(key) for key in found) or "none"
        raise UsageError(f"no proxy {', '.join(missing)} in this mesh", code="ref-proxy", hint=f"its proxies: {names}")
    return [found[key] for key in sorted(set(select))]


def on_ads(mesh: Mesh) -> frozenset[Key]:
    """The members that are served on streams; one that has changed to another way is served nothing out of date on its old one."""
    return frozenset(proxy.key for proxy in mesh.proxies if proxy.spec.push.ads is not None)


def left_behind(before: Iterable[Key], mesh: Mesh) -> tuple[Diagnostic, ...]:
    """A warning for each proxy that was in the fleet and is not any more: nothing is sent to it, not even to clear it."""
    kept = {proxy.key for proxy in mesh.proxies}
    return tuple(
        Diagnostic(
            code="proxy-left",
            message=f"{key} is no longer in the mesh: unless another Proxy names its Envoy, that keeps what it has",
            severity=Severity.WARNING,
            hint="stop that Envoy, or keep its Proxy while it carries traffic",
        )
        for key in sorted(before)
        if key not in kept
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One proxy's target, and the differences that are left alone on purpose."""

    target: Target
    left: tuple[Change, ...] = ()


def targets(desired: Desired, plan: Plan, observations: Mapping[Key, Observation]) -> list[Work]:
    """What to reach on each proxy: its view, or, where drift is only reported, its view but for what drifted."""
    report_only = desired.mesh.settings.drift is DriftPolicy.REPORT
    proxies = {proxy.key: proxy for proxy in desired.mesh.proxies}
    work: list[Work] = []
    for item in plan.proxies:
        left = tuple(change for change in item.changes if report_only and change.cause is Cause.DRIFT)
        changes = tuple(change for change in item.changes if change not in left)
        observation, view = observations[item.proxy], desired.views[item.proxy]
        if left:
            view = View.of(item.proxy, _applied(observation.resources, changes).values())
        target = Target(proxy=proxies[item.proxy], view=view, observation=observation, changes=changes)
        work.append(Work(target=target, left=left))
    return work


def pushed_part(plan: Plan, work: Sequence[Work]) -> Plan:
    """The plan without what is left alone: what a receipt may claim."""
    left = {item.target.proxy.key: item.left for item in work}
    proxies = (
        replace(item, changes=tuple(change for change in item.changes if change not in left.get(item.proxy, ())))
        for item in plan.proxies
    )
    return replace(plan, proxies=tuple(proxies))


def with_drift_left(work: Sequence[Work], outcomes: Mapping[Key, Outcome]) -> dict[Key, Outcome]:
    """The outcomes, saying so where drift was left in place."""
    drifted = {item.target.proxy.key for item in work if item.left}
    return {
        key: replace(outcome, kind=OutcomeKind.DRIFTED, detail="drift is only reported (Mesh.drift: report)")
        if key in drifted and outcome.kind is OutcomeKind.APPLIED
        else outcome
        for key, outcome in outcomes.items()
    }


def _applied(live: Mapping[ResourceId, Resource], changes: Sequence[Change]) -> dict[ResourceId, Resource]:
    resources = dict(live)
    for change in changes:
        if change.new is None:
            resources.pop(change.id, None)
        else:
            resources[change.id] = change.new
    return resources
