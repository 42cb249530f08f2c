"""Active health checks: Envoy's `health_checks`, from the HealthCheck that holds for a cluster.

Measured with Envoy 1.40: `alt_port` of a check is not looked at, so another port to ask stands with each endpoint
(`health_check_config`, see `endpoints`); a gRPC check makes Envoy refuse a cluster that does not speak HTTP/2, and with it, by some ways
of pushing, all others, so it is left out here and said; clusters without endpoints of their own (ORIGINAL_DST, a forward
proxy) are taken with a check, which says nothing of where a connection goes that nobody went to before; and what comes next is decided
at the end of a check, so an interval for want of traffic is waited for although traffic has begun. Envoy's own default for it, a
minute, would leave the first minute of every caller unchecked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValueOption, RequestMethod
from envoy.config.core.v3.health_check_pb2 import HealthCheck as Check
from envoy.type.v3.http_pb2 import CodecClientType

from reconciler.compile.clusters.discovery import Discovery
from reconciler.compile.clusters.pools import Speech, options_of
from reconciler.compile.clusters.subject import Subject
from reconciler.compile.probing import Probe
from reconciler.errors import Severity
from reconciler.model.healthcheck import GrpcProbe, HealthCheck, HttpProbe
from reconciler.model.origin import FieldPath, Finding

_FIRST_STATUS, _PAST_STATUSES = 100, 600
_TENTH = 10
_WHEN_NONE_IS_WELL = 1
_ASKED = frozenset({Discovery.PUSHED, Discovery.NAMES, Discovery.FIRST_NAME})


def watch(message: Any, subject: Subject, found: Discovery, probe: Probe | None) -> None:
    """Set a cluster's checks, and what comes of one that fails."""
    if probe is None or found not in _ASKED or _unspoken(subject, probe.spec):
        return
    spec = probe.spec
    message.health_checks.append(_check(subject, spec))
    message.ignore_health_on_host_removal = True  # who leaves discovery is gone, whatever its last check said
    message.close_connections_on_host_health_failure = spec.close_connections
    outliers = subject.policy.outlier_detection
    discovered = subject.service is not None and subject.service.discovered
    if spec.panic_threshold is not None:
        message.common_lb_config.healthy_panic_threshold.value = spec.panic_threshold
    elif discovered:
        pass  # `assembly` has none for them, so that what a registry calls unwell or draining is not called after all
    elif outliers is None or "min_health_percent" not in outliers.model_fields_set:
        message.common_lb_config.healthy_panic_threshold.value = _WHEN_NONE_IS_WELL


def asked_port(subject: Subject, found: Discovery, probe: Probe | None) -> int:
    """The port of each endpoint that is asked instead of its own; 0 for its own."""
    if probe is None or found not in _ASKED or _unspoken(subject, probe.spec):
        return 0
    return probe.spec.port or 0


def complaints(subject: Subject, found: Discovery, probe: Probe | None) -> Iterator[Finding]:
    """A check that can't be made."""
    if probe is None or subject.service is None or subject.port is None:
        return
    where = f"port {subject.ref.port} of {subject.ref.host}"
    if found not in _ASKED:
        message = f"instances of {subject.ref.host} are not known before they are called, so none is checked"
        hint = "list them as endpoints of the ServiceEntry with resolution STATIC or DNS, or remove the HealthCheck"
        yield _finding(probe, "no-effect", message, hint, Severity.WARNING, ("host",))
    elif _unspoken(subject, probe.spec):
        message = f"{where} doesn't speak HTTP/2, so its instances can't be asked by gRPC"
        hint = "name the GRPC ports in `ports`, or ask by http or tcp"
        yield _finding(probe, "health-check-protocol", message, hint, Severity.ERROR, ("grpc",))
    elif probe.spec.tcp is None and _unnamed(subject):
        message = f"checks of {where} name no server in TLS: they have no request to take the name from"
        hint = "write the server's name as `sni` in the `tls` of its DestinationRule"
        yield _finding(probe, "health-check-name", message, hint, Severity.WARNING, ("host",))


def _unspoken(subject: Subject, spec: HealthCheck) -> bool:
    return spec.grpc is not None and options_of(subject).speech is Speech.PLAIN


def _unnamed(subject: Subject) -> bool:
    return options_of(subject).auto_sni


def _finding(probe: Probe, code: str, message: str, hint: str, severity: Severity, path: FieldPath) -> Finding:
    return Finding(
        code=code, message=message, hint=hint, severity=severity, origin=probe.origin, path=("spec", *path)
    )  # fmt: skip


def _check(subject: Subject, spec: HealthCheck) -> Any:
    check = Check()
    check.interval.FromTimedelta(spec.interval)
    check.timeout.FromTimedelta(spec.timeout)
    check.unhealthy_threshold.value = spec.unhealthy_threshold
    check.healthy_threshold.value = spec.healthy_threshold
    check.no_traffic_interval.FromTimedelta(
        spec.interval
    )  # one that is out comes back as soon as it is well, called or not
    check.no_traffic_healthy_interval.FromTimedelta(spec.no_traffic_interval or spec.interval)
    if spec.initial_jitter is not None:
        check.initial_jitter.FromTimedelta(spec.initial_jitter)
    if spec.interval_jitter is not None:
        check.interval_jitter.FromTimedelta(spec.interval_jitter)
    else:
        check.interval_jitter_percent = _TENTH
    check.reuse_connection.value = spec.reuse_connection
    host = subject.ref.host.removeprefix("*.")
    if spec.http is not None:
        _ask(check, spec.http, host, subject, elsewhere=spec.port is not None)
    elif spec.grpc is not None:
        _call(check.grpc_health_check, spec.grpc, host)
    else:
        check.tcp_health_check.SetInParent()
    return check


def _ask(check: Any, probe: HttpProbe, host: str, subject: Subject, *, elsewhere: bool) -> None:
    asked = check.http_health_check
    asked.path, asked.host = probe.path, probe.host or host
    asked.method = RequestMethod.Value(probe.method)
    for expected in probe.expected_statuses:
        asked.expected_statuses.add(start=expected.start, end=expected.end + 1)
    # Otherwise any status that is not expected would take an instance out at once, whatever the threshold.
    asked.retriable_statuses.add(start=_FIRST_STATUS, end=_PAST_STATUSES)
    for name, value in sorted(probe.headers.items()):
        option = asked.request_headers_to_add.add(append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
        option.header.key, option.header.value, option.keep_empty_value = name, value, True
    speech = options_of(subject).speech
    if speech is Speech.HTTP2 and not elsewhere:
        asked.codec_client_type = CodecClientType.HTTP2
    elif speech is not Speech.PLAIN:
        check.tls_options.alpn_protocols.append("http/1.1")  # the cluster's own offer begins with h2


def _call(asked: Any, probe: GrpcProbe, host: str) -> None:
    asked.service_name, asked.authority = probe.service_name, probe.authority or host
