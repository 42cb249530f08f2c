"""Why a step is not confirmed in time, in words. Reads the admin endpoint; sends nothing."""

from __future__ import annotations

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import ResourceType
from reconciler.push.phases import Step
from reconciler.push.verify import Confirmation, named

_SERVING = frozenset({ResourceType.CLUSTER, ResourceType.LISTENER})


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
    waiting = [id_ for id_, item in step.after.items() if id_.type in _SERVING and live.get(id_) != item]
    return named(map(str, sorted(waiting))) if waiting else "something that was not sent now"


def _shown(type_: ResourceType, name: str) -> str:
    return f"{type_} {name}" if name else f"the {type_}s"
