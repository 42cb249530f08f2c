"""Which of the things that were sent together Envoy refused. Reads the admin endpoint; sends nothing, takes nothing back.

Envoy counts refusals by type and keeps words for listeners only, so the rest is told apart by content. What is named here
may be held, or the change that brought it reverted: what only came along must not be among it.
"""

from __future__ import annotations

from collections.abc import Collection

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.push.phases import Step

SETTLING = 0.2
"""Seconds for an Envoy that has refused something to come to what else it was sent at the same time."""


def blamed(
    step: Step, refused: Collection[ResourceType], *, proxy: Policy[Proxy], admin: Admin, clock: Clock
) -> frozenset[ResourceId]:
    """What of a step Envoy refused; nothing if it can't be read.

    Envoy puts the good part of a refused set into force, and reads every other file by itself. So what it was sent and, when
    it has had the time to come to it, does not serve is what it refused.

    Args:
        step: What was sent last, with what that put or changed; it has not been taken back yet.
        refused: The types of which Envoy counted a refusal.
        proxy: Whose Envoy it is.
        admin: Its endpoint.
        clock: For the time of reading, and the moment before.
    """
    put = {item.id: item for item in step.put if item.id.type in refused}
    if not put:
        return frozenset()
    clock.sleep(SETTLING)
    seen = admin.observe(proxy, at=clock.now, types=frozenset(refused))
    if seen.error is not None:
        return frozenset()
    told = {ResourceId(item.type, item.name) for item in seen.rejections} & put.keys()
    types = {id_.type for id_ in told}
    return frozenset(
        told | {id_ for id_, item in put.items() if id_.type not in types and seen.resources.get(id_) != item}
    )
