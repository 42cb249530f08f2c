"""Rules for faults: delays and aborts."""

from __future__ import annotations

from reconciler.model.virtualservice import FaultAbort, FaultDelay, HTTPFaultInjection, Percent
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.shared import deprecated, idle
from reconciler.policy.findings import Report, close

GRPC_STATUSES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""By https://github.com/grpc/grpc/blob/master/doc/statuscodes.md."""

_STATUSES = range(200, 600)
_MIN_PERCENT = 0.0001


def check_fault(fault: HTTPFaultInjection, report: Report) -> None:
    """A delay or an abort, for some of the requests; the report's paths begin at the fault."""
    if fault.delay is None and fault.abort is None:
        hint = "add a delay or an abort, or remove it"
        report.error("missing-field", "a fault needs a delay or an abort", hint=hint, key=True)
    if fault.delay is not None:
        _check_delay(fault.delay, report.below("delay"))
    if fault.abort is not None:
        _check_abort(fault.abort, report.below("abort"))


def check_percent(percent: Percent | None, report: Report, *path: str | int) -> None:
    """Note a share that is too small for Envoy, which counts in ten-thousandths of a percent; 0 is none."""
    if percent is not None and 0 < percent.value < _MIN_PERCENT:
        message = f"{percent.value}% is less than Envoy can count"
        report.error("value", message, *path, "value", hint=f"write 0, or at least {_MIN_PERCENT}")


def _check_delay(delay: FaultDelay, report: Report) -> None:
    check_duration(delay.fixed_delay, report, "fixedDelay")
    check_percent(delay.percentage, report, "percentage")
    if delay.percent:
        deprecated(report, "percent", f"percentage: {{value: {delay.percent}}}", "percent")
    if delay.fixed_delay is None:
        idle(report, "a delay without fixedDelay delays nothing", hint="add fixedDelay")
    elif delay.percentage is None and not delay.percent:
        idle(report, "a delay without percentage delays no request", hint="add `percentage: {value: 100}` for all")


def _check_abort(abort: FaultAbort, report: Report) -> None:
    check_percent(abort.percentage, report, "percentage")
    http, grpc = abort.http_status, abort.grpc_status
    if http is not None and grpc is not None:
        message = "only one of httpStatus and grpcStatus can be set"
        report.error("one-of", message, "grpcStatus", hint="keep one of the two", key=True)
    if http is not None and http not in _STATUSES:
        message = f"{http} is not a status that Envoy answers with"
        report.error("value", message, "httpStatus", hint="write one from 200 to 599")
    if grpc is not None and grpc not in GRPC_STATUSES:
        hint = close(grpc, GRPC_STATUSES) or f"it is one of {', '.join(GRPC_STATUSES)}"
        report.error("enum", f"{grpc!r} is not a gRPC status", "grpcStatus", hint=hint)
    if http is None and grpc is None:
        idle(report, "an abort without a status aborts nothing", hint="add httpStatus or grpcStatus")
    elif abort.percentage is None:
        idle(report, "an abort without percentage aborts no request", hint="add `percentage: {value: 100}` for all")
