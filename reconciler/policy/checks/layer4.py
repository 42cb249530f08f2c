"""Rules for the `tls` and `tcp` rules of a VirtualService."""

from __future__ import annotations

from reconciler.model.hosts import HostSet, is_address
from reconciler.model.virtualservice import TCPRoute, TLSMatch, TLSRoute
from reconciler.policy.checks.destinations import check_split
from reconciler.policy.checks.formats import HOST_HINT, host_problem
from reconciler.policy.checks.matches import check_l4_match
from reconciler.policy.findings import Report


def check_tls_route(rule: TLSRoute, hosts: HostSet, report: Report) -> None:
    """One rule; the report's paths begin at it. Server names lie within the VirtualService's hosts, as in Istio."""
    if not rule.match:
        hint = "add `match: [{sniHosts: [...]}]`"
        report.error("missing-field", "a tls rule needs a match: the server names that it is for", "match", hint=hint)
    for index, match in enumerate(rule.match):
        below = report.below("match", index)
        check_l4_match(match, below)
        _check_names(match, hosts, below)
    _check_route(rule, report)


def check_tcp_route(rule: TCPRoute, report: Report) -> None:
    """One rule; the report's paths begin at it."""
    for index, match in enumerate(rule.match):
        check_l4_match(match, report.below("match", index))
    _check_route(rule, report)


def _check_route(rule: TLSRoute | TCPRoute, report: Report) -> None:
    if not rule.route:
        hint = "add `route: [{destination: {host: ...}}]`"
        report.error("missing-field", "a rule needs a route", "route", hint=hint)
    check_split(rule.route, report, "route")


def _check_names(match: TLSMatch, hosts: HostSet, report: Report) -> None:
    if not match.sni_hosts:
        message = "a match needs at least one server name"
        report.error("missing-field", message, "sniHosts", hint="write the hosts that clients ask for")
    for index, name in enumerate(match.sni_hosts):
        problem = host_problem(name, address=True, partial=False)
        if problem:
            report.error("host", problem, "sniHosts", index, hint=HOST_HINT)
        elif is_address(name):
            message = "clients don't send addresses as server names (RFC 6066), so this hardly ever matches"
            report.warning("no-effect", message, "sniHosts", index, hint="match destinationSubnets in a tcp rule")
        elif not hosts.covering(name):
            message = f"the server name {name} is not within the VirtualService's hosts"
            report.error("host", message, "sniHosts", index, hint="add it to hosts, or mend it")
