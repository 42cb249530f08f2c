"""Why a step is not confirmed in time, in words. Reads the admin endpoint; sends nothing."""

from __future__ import annotations

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import Resource, ResourceType
from reconciler.push.dependents import references
from reconciler.push.phases import Step
from reconciler.push.verify import Confirmation, named

_SERVING = frozenset({ResourceType.CLUSTER, ResourceType.LISTENER})
_AWAITED = frozenset({ResourceType.ENDPOINTS, ResourceType.ROUTE, ResourceType.SECRET})


def lateness(seen: Confirmation, step: Step, *, proxy: Policy[Proxy], admin: Admin, clock: Clock) -> str:
    """What the last look at a step lacks.

    Args:
        seen: That look.
        step: What was to be confirmed.
        proxy: Whose Envoy it is.
        admin: Its endpoint.
        clock: For the time of reading.
    """
    lacking = [_shown(type_, name) for type_, name in seen.missing]
    if seen.versions is not None and seen.versions.warming:
        lacking.append(f"still warming: {_warming(step, proxy, admin, clock)}")
    if seen.versions is not None and not seen.versions.live:
        lacking.append("the server is not live")
    if seen.versions is not None and seen.versions.connected is False:
        lacking.append("it says that it is not connected")
    return f"in phase {step.phase} not confirmed in time: " + "; ".join(lacking)


def _warming(step: Step, proxy: Policy[Proxy], admin: Admin, clock: Clock) -> str:
    """Clusters and listeners that should serve and don't."""
    live = admin.observe(proxy, at=clock.now, types=_SERVING).resources
    waiting = [item for _, item in sorted(step.after.items()) if item.id.type in _SERVING and live.get(item.id) != item]
    return named(_with_lack(item, step) for item in waiting) if waiting else "something that was not sent now"


def _with_lack(item: Resource, step: Step) -> str:
    """A resource, and what nobody sends that it waits for."""
    lack = [str(id_) for id_ in sorted(references(item)) if id_.type in _AWAITED and id_ not in step.after]
    return f"{item.id} (waits for {named(lack)}, which there is none of)" if lack else str(item.id)


def _shown(type_: ResourceType, name: str) -> str:
    return f"{type_} {name}" if name else f"the {type_}s"
