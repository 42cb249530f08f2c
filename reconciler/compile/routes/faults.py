"""Faults put in on purpose: the settings of Envoy's fault filter for one route.

The filter stands before the router. So a delay is over before the route's timeout begins, and a request that it aborts was
never tried, so there is nothing to repeat; requests that it lets through have their timeout and retries as always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault

from reconciler.compile.routes.errors import UntranslatableError
from reconciler.compile.routes.percentages import fraction, whole
from reconciler.model.virtualservice import FaultAbort, FaultDelay, HTTPFaultInjection, HTTPRoute

FILTER = "envoy.filters.http.fault"
"""Its name in the HTTP connection manager."""

GRPC_STATUS: Mapping[str, int] = MappingProxyType(
    {
        name: number
        for number, name in enumerate((
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
            "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
            "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
        ))
    }
)  # fmt: skip
"""gRPC's status codes by name."""


def fill_fault(route: Any, fault: HTTPFaultInjection) -> None:
    """Say to the fault filter what holds for a route."""
    message = HTTPFault()
    if fault.delay is not None and fault.delay.fixed_delay is not None:
        _delay(message.delay, fault.delay)
    if fault.abort is not None:
        _abort(message.abort, fault.abort)
    if message.ListFields():
        route.typed_per_filter_config[FILTER].Pack(message, deterministic=True)


def surprises(rule: HTTPRoute) -> Iterator[str]:
    """What people expect of a fault beside a timeout or retries, and what isn't so."""
    if rule.fault is None or not rule.route:
        return
    if rule.fault.delay is not None and rule.timeout:
        yield "the delay is over before the timeout begins, so it never makes a request time out"
    if rule.fault.abort is not None and rule.retries is not None and rule.retries.attempts > 0:
        yield "requests that the fault aborts are answered at once and not retried"


def _delay(target: Any, delay: FaultDelay) -> None:
    target.fixed_delay.FromTimedelta(delay.fixed_delay)
    target.percentage.CopyFrom(fraction(delay.percentage) if delay.percentage is not None else whole(delay.percent))


def _abort(target: Any, abort: FaultAbort) -> None:
    if abort.http_status is not None:
        target.http_status = abort.http_status
    elif (status := GRPC_STATUS.get(abort.grpc_status or "")) is not None:
        target.grpc_status = status
    else:
        raise UntranslatableError(f"{abort.grpc_status} is not a gRPC status")
    if abort.percentage is not None:
        target.percentage.CopyFrom(fraction(abort.percentage))
    else:
        target.percentage.CopyFrom(whole(0))
