"""Which endpoints of a service Git declares, and which come and go with what registries say.

Only load assignments are made of the latter, by their recipes. Whatever else looks at endpoints looks at Git's own: listeners,
clusters and findings must not change because an instance came up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Endpoint, Service


def own(service: Service) -> tuple[Endpoint, ...]:
    """The endpoints that Git declares; of a service that no registry lists, all."""
    return tuple(item for item in service.endpoints if not item.registry) if service.discovered else service.endpoints


def found(service: Service) -> tuple[Endpoint, ...]:
    """The endpoints that registries list, in the order of the service."""
    return tuple(item for item in service.endpoints if item.registry) if service.discovered else ()


def moved(old: Sequence[Service], new: Sequence[Service]) -> dict[str, Service] | None:
    """The services of which other instances are listed, by host; None if anything else differs as well.

    Args:
        old: Services.
        new: Services in the same order. One that is the same object is unchanged.
    """
    if old is new:
        return {}
    if len(old) != len(new):
        return None
    changed: dict[str, Service] = {}
    for before, after in zip(old, new, strict=True):
        if before is not after:
            if not only_instances(before, after) or after.host in changed:
                return None
            changed[after.host] = after
    return changed


def only_instances(old: Service, new: Service) -> bool:
    """Whether at most the instances that registries list differ, and these are no part of a cluster, as names to look up are."""
    if old is new:
        return True
    listed = old.discovered and new.discovered and new.resolution is Resolution.STATIC
    return listed and replace(old, endpoints=()) == replace(new, endpoints=()) and own(old) == own(new)
