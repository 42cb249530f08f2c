"""What a runtime proxy maps: routes of VirtualServices, and their subsets."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.proxy import Proxy, RuntimeRoute
from reconciler.model.virtualservice import HTTPRoute, VirtualService
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index

_CODE = "ref-route"


def check_runtime(index: Index) -> Iterator[Finding]:
    """Of every mapped route: the VirtualService, the rule and the subsets that it names."""
    for policy in index.mesh.proxies:
        runtime = policy.spec.push.runtime
        report = Report(policy.origin)
        for position, mapped in enumerate(runtime.routes if runtime else ()):
            _check(policy, mapped, position, index, report)
        yield from report.findings


def _check(policy: Policy[Proxy], mapped: RuntimeRoute, position: int, index: Index, report: Report) -> None:
    path = ("push", "runtime", "routes", position)
    key = policy.resolve(mapped.virtual_service)
    service = index.virtual_services.get(key)
    if service is None:
        if not index.failed_key("VirtualService", key):
            near = close(mapped.virtual_service, (item.short() for item in index.virtual_services))
            hint = near or "write `name` or `namespace/name` of a VirtualService"
            report.error(_CODE, f"there is no VirtualService {key}", *path, "virtualService", hint=hint)
        return
    rule = _rule(service, mapped.route)
    names = [rule.name for rule in service.spec.http if rule.name]
    if rule is None and mapped.route:
        hint = close(mapped.route, names) or f"its rules are {', '.join(names) or 'without names'}"
        report.error(_CODE, f"{key} has no http rule named {mapped.route}", *path, "route", hint=hint)
    elif rule is None:
        message = f"{key} has {len(service.spec.http)} http rules; say which is mapped"
        report.error(
            _CODE, message, *path, hint=f"add `route: NAME`; its rules are {', '.join(names) or 'without names'}"
        )
    else:
        _check_subsets(key.short(), rule, mapped, path, report)


def _rule(service: Policy[VirtualService], name: str) -> HTTPRoute | None:
    if not name:
        return service.spec.http[0] if len(service.spec.http) == 1 else None
    return next((rule for rule in service.spec.http if rule.name == name), None)


def _check_subsets(
    name: str, rule: HTTPRoute, mapped: RuntimeRoute, path: tuple[str | int, ...], report: Report
) -> None:
    subsets = [share.destination.subset for share in rule.route]
    for subset in mapped.clusters:
        if subset not in subsets:
            hint = close(subset, subsets) or f"it splits between {', '.join(subsets)}"
            report.error(
                _CODE, f"{name} sends nothing to a subset {subset}", *path, "clusters", subset, hint=hint, key=True
            )
