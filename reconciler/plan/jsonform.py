"""A plan as the JSON that users script against."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.plan import Change, Plan, ProxyPlan
from reconciler.plan.digest import digest
from reconciler.plan.summary import counts

SCHEMA_VERSION = 1


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values, the same for the same plan.

    `errors` says why proxies could not be asked, each message beginning with the proxy's name. `warnings` are those of
    the policies and what proxies can't do, the latter with the proxy's name too. Creates and deletes have no `fields`,
    except of runtime keys.
    """
    unreachable = [_named(proxy, proxy.error) for proxy in plan.proxies if proxy.error is not None]
    notes = [_named(proxy, note) for proxy in plan.proxies for note in proxy.notes]
    return {
        "schema_version": SCHEMA_VERSION,
        "commit": plan.commit,
        "digest": digest(plan),
        "summary": asdict(counts(plan)),
        "proxies": [_proxy(proxy) for proxy in plan.proxies],
        "refused": [item.as_json() for item in plan.refused],
        "errors": [item.as_json() for item in unreachable],
        "warnings": [item.as_json() for item in (*plan.warnings, *notes)],
    }


def _named(proxy: ProxyPlan, item: Diagnostic) -> Diagnostic:
    return replace(item, message=f"{proxy.proxy}: {item.message}")


def _proxy(proxy: ProxyPlan) -> dict[str, Any]:
    return {
        "proxy": str(proxy.proxy),
        "reachable": proxy.reachable,
        "changes": [_change(change) for change in proxy.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "type": str(change.id.type),
        "name": change.id.name,
        "action": str(change.action),
        "cause": str(change.cause),
        "fields": [{"path": item.path, "old": item.old, "new": item.new} for item in change.fields],
    }
