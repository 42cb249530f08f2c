"""The digest of a plan: what a reviewer approves and an apply must find again."""

from __future__ import annotations

import hashlib
from typing import Any

from reconciler.model.plan import Action, Cause, Change, Plan
from reconciler.model.resource import ResourceType
from reconciler.plan.identity import compact

_LISTED = "as registries list it"


def digest(plan: Plan) -> str:
    """SHA-256, in hex, of the canonical JSON of all proxies' changes.

    Covers for every change of Git's and every repair of drift its proxy, type, name and action and the content hashes before and after, so also the content of
    what is created or deleted. Doesn't cover the commit, causes, messages, times, or proxies that need nothing or can't be
    reached: two plans that would do the same have the same digest, whenever and why ever they are made. What a registry says may
    be another thing a second later, so it is left out: changes of cause `discovery`, and which instances a load assignment has
    that comes or goes with its cluster.
    """
    reviewed = {
        str(proxy.proxy): [_change(change) for change in proxy.changes if change.cause is not Cause.DISCOVERY]
        for proxy in plan.proxies
    }
    changes = {name: items for name, items in reviewed.items() if items}
    return hashlib.sha256(compact(changes).encode("utf-8", "surrogatepass")).hexdigest()


def _is_lost(change: Change) -> bool:
    """Whether a load assignment goes. With its cluster: what is live of it does not say whether registries had a part in it."""
    return change.action is Action.DELETE and change.id.type is ResourceType.ENDPOINTS


def _change(change: Change) -> dict[str, Any]:
    return {
        "type": str(change.id.type),
        "name": change.id.name,
        "action": str(change.action),
        "old": change.old.version if change.old and not _is_lost(change) else None,
        "new": (change.new.version if change.new.recipe is None else _LISTED) if change.new else None,
        "fields": [[item.path, item.old, item.new] for item in change.fields],
    }
