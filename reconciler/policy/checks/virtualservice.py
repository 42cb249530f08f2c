"""Rules for one VirtualService, by Istio's `validation.go`; for one rule's split and matches see `routes`."""

from __future__ import annotations

from reconciler.model.hosts import covers
from reconciler.model.virtualservice import MESH_GATEWAY, VirtualService
from reconciler.policy.checks.formats import HOST_HINT, NAME_HINT, host_problem, is_label, is_name
from reconciler.policy.checks.routes import check_reachable, check_route
from reconciler.policy.checks.shared import unique
from reconciler.policy.findings import Report


def check_virtual_service(spec: VirtualService, report: Report) -> None:
    """Hosts, gateways and rules."""
    _check_hosts(spec, report)
    for index, gateway in enumerate(spec.gateways):
        namespace, slash, name = gateway.rpartition("/")
        if not is_name(name) or (slash and not is_label(namespace)):
            message = f"{gateway!r} is not `name` or `namespace/name` of a Gateway"
            report.error("name", message, "gateways", index, hint=NAME_HINT)
    unique(report, "the gateway", ((name, ("gateways", index)) for index, name in enumerate(spec.gateways)))
    if not spec.http:
        report.error("missing-field", "a VirtualService needs at least one http rule", "http")
    names: set[str] = set()
    for index, rule in enumerate(spec.http):
        check_route(rule, index, report)
        if rule.name and rule.name in names:
            message = f"two rules are named {rule.name}; plans and rollouts can't tell them apart"
            report.warning("duplicate-route-name", message, "http", index, "name", hint="give each its own name")
        names.add(rule.name)
    check_reachable(spec.http, report)


def _check_hosts(spec: VirtualService, report: Report) -> None:
    if not spec.hosts:
        report.error("missing-field", "a VirtualService needs at least one host", "hosts")
    on_mesh = not spec.gateways or MESH_GATEWAY in spec.gateways
    for index, host in enumerate(spec.hosts):
        problem = host_problem(host, address=True)
        if problem:
            report.error("host", problem, "hosts", index, hint=HOST_HINT)
        elif host == "*" and on_mesh:
            message = "the host * would take over every request of every sidecar"
            report.error("host", message, "hosts", index, hint="name the hosts, or the gateways that it is meant for")
        for earlier in spec.hosts[:index]:
            if covers(earlier, host) or covers(host, earlier):
                message = (
                    f"the host {host} is covered by {earlier} already"
                    if host != earlier
                    else f"{host} stands here twice"
                )
                report.error("duplicate-value", message, "hosts", index, hint="keep one of them")
                break
