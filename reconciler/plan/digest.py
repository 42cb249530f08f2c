"""The digest of a plan: what a reviewer approves and an apply must find again."""

from __future__ import annotations

import hashlib
from typing import Any

from reconciler.model.plan import Change, Plan
from reconciler.plan.identity import compact


def digest(plan: Plan) -> str:
    """SHA-256, in hex, of the canonical JSON of all proxies' changes.

    Covers for every change its proxy, type, name and action and the content hashes before and after, so also the content of
    what is created or deleted. Doesn't cover the commit, causes, messages, times, or proxies that need nothing or can't be
    reached: two plans that would do the same have the same digest, whenever and why ever they are made.
    """
    changes = {
        str(proxy.proxy): [_change(change) for change in proxy.changes] for proxy in plan.proxies if proxy.changes
    }
    return hashlib.sha256(compact(changes).encode("utf-8", "surrogatepass")).hexdigest()


def _change(change: Change) -> dict[str, Any]:
    return {
        "type": str(change.id.type),
        "name": change.id.name,
        "action": str(change.action),
        "old": change.old.version if change.old else None,
        "new": change.new.version if change.new else None,
        "fields": [[item.path, item.old, item.new] for item in change.fields],
    }
