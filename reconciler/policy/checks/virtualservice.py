"""Rules for one VirtualService, by Istio's `validation.go`; what one of its rules says is checked by `routes` and `layer4`."""

from __future__ import annotations

from reconciler.model.hosts import HostSet
from reconciler.model.virtualservice import MESH_GATEWAY, VirtualService
from reconciler.policy.checks.formats import HOST_HINT, host_problem
from reconciler.policy.checks.layer4 import check_tcp_route, check_tls_route
from reconciler.policy.checks.matches import check_gateway_names
from reconciler.policy.checks.reachable import check_l4_reachable, check_reachable
from reconciler.policy.checks.routes import check_route
from reconciler.policy.checks.shared import check_export_to, unique
from reconciler.policy.findings import Report


def check_virtual_service(spec: VirtualService, namespace: str, report: Report) -> None:
    """Hosts, gateways and rules. Without hosts it is one that others delegate to, which has `http` rules only."""
    if not spec.hosts:
        _check_delegate(spec, report)
    _check_hosts(spec, report)
    check_gateway_names(spec.gateways, report, "gateways")
    unique(report, "the gateway", ((name, ("gateways", index)) for index, name in enumerate(spec.gateways)))
    if not spec.http and not spec.tls and not spec.tcp:
        hint = "add http, tls or tcp rules"
        report.error("missing-field", "a VirtualService needs at least one rule", "http", hint=hint)
    _check_names(spec, report)
    for index, rule in enumerate(spec.http):
        check_route(rule, report.below("http", index), delegated=not spec.hosts)
    hosts = HostSet(spec.hosts)
    for index, tls in enumerate(spec.tls):
        check_tls_route(tls, hosts, report.below("tls", index))
    for index, tcp in enumerate(spec.tcp):
        check_tcp_route(tcp, report.below("tcp", index))
    check_reachable(spec.http, report)
    check_l4_reachable(spec.tls, "tls", report)
    check_l4_reachable(spec.tcp, "tcp", report)
    check_export_to(spec.export_to, namespace, report)


def _check_delegate(spec: VirtualService, report: Report) -> None:
    for name in ("gateways", "tls", "tcp"):
        if getattr(spec, name):
            message = f"a VirtualService without hosts is one that others delegate to, and those have no {name}"
            report.error("missing-field", message, "hosts", hint=f"add hosts, or remove {name}")
            return


def _check_names(spec: VirtualService, report: Report) -> None:
    names: set[str] = set()
    for index, rule in enumerate(spec.http):
        if rule.name and rule.name in names:
            message = f"two rules are named {rule.name}; plans and rollouts can't tell them apart"
            report.warning("duplicate-route-name", message, "http", index, "name", hint="give each its own name")
        names.add(rule.name)


def _check_hosts(spec: VirtualService, report: Report) -> None:
    on_mesh = not spec.gateways or MESH_GATEWAY in spec.gateways
    overlaps = _Overlaps()
    for index, host in enumerate(spec.hosts):
        problem = host_problem(host, address=True)
        if problem:
            report.error("host", problem, "hosts", index, hint=HOST_HINT)
        elif host == "*" and on_mesh:
            message = "the host * would take over every request of every sidecar"
            report.error("host", message, "hosts", index, hint="name the hosts, or the gateways that it is meant for")
        earlier = overlaps.add(host, whole=not problem)
        if earlier is not None:
            message = f"the host {host} is covered by {earlier} already"
            if host == earlier:
                message = f"{host} stands here twice"
            report.error("duplicate-value", message, "hosts", index, hint="keep one of them")


class _Overlaps:
    """Finds hosts that cover each other, in a time that grows with their number and not with its square: anybody may write thousands."""

    def __init__(self) -> None:
        self._order: dict[str, int] = {}
        self._below: dict[str, str] = {}

    def add(self, host: str, *, whole: bool) -> str | None:
        """The first of the earlier ones that covers it or that it covers; None if there is none.

        Args:
            host: One more.
            whole: Whether it is a host at all; what is none can only stand there twice.
        """
        ends = _ends(host) if whole else ()
        found = {host, *(f"*{end}" for end in ends if len(host) > len(end))} & self._order.keys()
        if whole and host.startswith("*") and host[1:] in self._below:
            found.add(self._below[host[1:]])
        first = min(found, key=self._order.__getitem__, default=None)
        self._order.setdefault(host, len(self._order))
        for end in ends:
            if len(host) > len(end):
                self._below.setdefault(end, host)
        return first


def _ends(host: str) -> tuple[str, ...]:
    """What wildcards that cover a host may have behind their star."""
    name = host.removeprefix("*")
    return ("", *(name[index:] for index in range(len(name))))  # within a label, too: `*a.example.com` is a host
