"""Delegates: the VirtualServices without hosts that others' rules name, and those that nobody names.

There are no circles: that a delegate can't delegate is a rule about it alone.
"""

from __future__ import annotations

from reconciler.model.mesh import Policy
from reconciler.model.virtualservice import VirtualService
from reconciler.model.visibility import exported, visible
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index, delegated

_CODE = "ref-delegate"


def check_delegates(policy: Policy[VirtualService], index: Index, report: Report) -> None:
    """Of every rule that delegates: the other document is there, is seen, and is one that can be delegated to."""
    for position, rule in enumerate(policy.spec.http):
        if rule.delegate is None:
            continue
        key = delegated(rule.delegate, policy)
        target = index.virtual_services.get(key)
        problem, hint = "", ""
        if target is None and not index.failed_key("VirtualService", key):
            problem = f"there is no VirtualService {key} to delegate to"
            near = (item.short() for item in index.virtual_services if item.namespace == key.namespace)
            hint = close(key.short(), near) or "add it, without hosts and gateways"
        elif target is not None and target.spec.hosts:
            problem = f"the VirtualService {key} has hosts, so nobody can delegate to it"
            hint = "remove its hosts and gateways"
        elif target is not None and not _sees(policy, target):
            problem = f"the VirtualService {key} is not exported to namespace {policy.key.namespace}"
            hint = "add the namespace to its exportTo"
        if problem:
            report.error(_CODE, problem, "http", position, "delegate", hint=hint)
    if not policy.spec.hosts and policy.key not in index.roots and not index.failed("VirtualService"):
        message = "this VirtualService has no hosts, and no other delegates to it, so its rules are never used"
        hint = (
            f"name it in a rule of another: `delegate: {{name: {policy.key.name}, namespace: {policy.key.namespace}}}`"
        )
        report.at("metadata").warning(_CODE, message, "name", hint=hint)


def _sees(policy: Policy[VirtualService], target: Policy[VirtualService]) -> bool:
    return visible(exported(target.spec.export_to, target.key.namespace), policy.key.namespace)
