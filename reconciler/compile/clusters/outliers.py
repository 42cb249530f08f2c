"""Outlier detection, with Istio's choices: no ejection by statistics, and no panic unless `minHealthPercent` asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.compile.clusters.subject import Subject
from reconciler.errors import Severity
from reconciler.model.origin import Finding
from reconciler.model.trafficpolicy import OutlierDetection

_EVERY_TIME = 100
_ENVOYS_PERCENT = 10


def detect(message: Any, settings: OutlierDetection) -> None:
    """Set a cluster's outlier detection."""
    found = message.outlier_detection
    found.Clear()
    found.enforcing_success_rate.value = 0
    if settings.consecutive5xx_errors is not None:
        found.consecutive_5xx.value = settings.consecutive5xx_errors
        found.enforcing_consecutive_5xx.value = _enforced(settings.consecutive5xx_errors)
    gateway = settings.consecutive_gateway_errors
    if gateway is None and settings.consecutive_errors > 0:
        gateway = settings.consecutive_errors
    if gateway is not None:
        found.consecutive_gateway_failure.value = gateway
        found.enforcing_consecutive_gateway_failure.value = _enforced(gateway)
    if settings.interval is not None:
        found.interval.FromTimedelta(settings.interval)
    if settings.base_ejection_time is not None:
        found.base_ejection_time.FromTimedelta(settings.base_ejection_time)
    if settings.max_ejection_percent:
        found.max_ejection_percent.value = settings.max_ejection_percent
    if settings.split_external_local_origin_errors:
        found.split_external_local_origin_errors = True
        found.enforcing_local_origin_success_rate.value = 0
        local = settings.consecutive_local_origin_failures
        if local is not None:
            found.consecutive_local_origin_failure.value = local
            found.enforcing_consecutive_local_origin_failure.value = _enforced(local)
    message.common_lb_config.healthy_panic_threshold.value = settings.min_health_percent


def _enforced(count: int) -> int:
    return _EVERY_TIME if count else 0


def complaints(subject: Subject, count: int) -> Iterator[Finding]:
    """A share of ejected endpoints that is less than one of them: Envoy rounds down, and ejects nobody.

    Args:
        subject: A cluster with outlier detection.
        count: How many endpoints it has; nothing is said of one, which is all that there is.
    """
    settings = subject.policy.outlier_detection
    percent = (settings.max_ejection_percent if settings else 0) or _ENVOYS_PERCENT
    if settings is not None and count > 1 and count * percent < _EVERY_TIME:
        least = -(-_EVERY_TIME // count)
        whose = f"subset {subject.ref.subset} of {subject.ref.host}" if subject.ref.subset else subject.ref.host
        yield subject.finding(
            code="outlier-percent",
            message=f"outlier detection ejects nothing from {whose}: {percent}% of its {count} endpoints is less than one",
            block="outlier_detection",
            hint=f"set maxEjectionPercent to {least} or more; without it, it is {_ENVOYS_PERCENT}",
            severity=Severity.WARNING,
        )
