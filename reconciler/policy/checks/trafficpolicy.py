"""Rules for traffic policies as a whole: what stands beside what, and what one port overrides."""

from __future__ import annotations

from reconciler.model.trafficpolicy import OutlierDetection, PortTrafficPolicy, TrafficPolicy, Tunnel
from reconciler.policy.checks.clienttls import check_client_tls
from reconciler.policy.checks.formats import HOST_HINT, host_problem
from reconciler.policy.checks.loadbalancing import check_load_balancer
from reconciler.policy.checks.pools import check_outlier, check_pool
from reconciler.policy.checks.shared import at_most, unique
from reconciler.policy.findings import Report

_BLOCKS = ("load_balancer", "connection_pool", "outlier_detection", "tls")
_MAX_PORTS = 4096


def check_traffic_policy(policy: TrafficPolicy, report: Report, *, outlier: OutlierDetection | None = None) -> None:
    """One policy; the report's paths begin at it.

    Args:
        policy: What is checked.
        report: Where it is noted.
        outlier: The outlier detection of the rule, for a subset's policy, which overrides the rule's block by block.
    """
    if not any(
        getattr(policy, name) for name in (*_BLOCKS, "port_level_settings", "tunnel", "proxy_protocol", "retry_budget")
    ):
        report.error(
            "missing-field", "a traffic policy needs at least one field", hint="add one, or remove it", key=True
        )
    _check_blocks(policy, outlier, report)
    at_most(report, _MAX_PORTS, policy.port_level_settings, "ports", "portLevelSettings")
    for index, settings in enumerate(policy.port_level_settings):
        _check_port(settings, report.below("portLevelSettings", index))
    numbers = (
        (item.port.number if item.port else None, ("portLevelSettings", index, "port", "number"))
        for index, item in enumerate(policy.port_level_settings)
    )
    unique(report, "the port", numbers)
    if policy.tunnel is not None:
        _check_tunnel(policy.tunnel, report.below("tunnel"))
        if policy.proxy_protocol is not None:
            message = "only one of tunnel and proxyProtocol can be set"
            report.error("one-of", message, "proxyProtocol", hint="keep one of the two", key=True)


def _check_port(settings: PortTrafficPolicy, report: Report) -> None:
    if settings.port is None:
        report.error("missing-field", "port is required", "port", hint="write `port: {number: ...}`")
    if not any(getattr(settings, name) for name in _BLOCKS):
        message = "settings for a port need at least one of loadBalancer, connectionPool, outlierDetection and tls"
        report.error("missing-field", message, hint="add one, or remove the port", key=True)
    _check_blocks(settings, None, report)


def _check_blocks(policy: TrafficPolicy | PortTrafficPolicy, outlier: OutlierDetection | None, report: Report) -> None:
    if policy.load_balancer is not None:
        check_load_balancer(policy.load_balancer, policy.outlier_detection or outlier, report.below("loadBalancer"))
    if policy.connection_pool is not None:
        check_pool(policy.connection_pool, report.below("connectionPool"))
    if policy.outlier_detection is not None:
        check_outlier(policy.outlier_detection, report.below("outlierDetection"))
    if policy.tls is not None:
        check_client_tls(policy.tls, report.below("tls"))


def _check_tunnel(tunnel: Tunnel, report: Report) -> None:
    if tunnel.protocol not in {"", "CONNECT", "POST"}:
        report.error("enum", f"{tunnel.protocol!r} is not a way to tunnel", "protocol", hint="write CONNECT or POST")
    problem = host_problem(tunnel.target_host, wildcard=False, address=True)
    if problem:
        report.error("host", problem, "targetHost", hint=HOST_HINT)
    if tunnel.target_port < 1:
        report.error("value", "targetPort must be at least 1", "targetPort", hint="write the port of the target")
