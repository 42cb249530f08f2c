"""Rules for one Proxy or Mesh."""

from __future__ import annotations

import re

from reconciler.model.hosts import is_network
from reconciler.model.proxy import Certificates, Client, MeshSpec, Proxy, RuntimePush
from reconciler.policy.checks.automation import check_notifications, check_record
from reconciler.policy.checks.discovery import check_discovery
from reconciler.policy.checks.formats import (
    NAME_HINT,
    endpoint,
    fits_socket,
    host_problem,
    is_label,
    is_name,
    locality_problem,
)
from reconciler.policy.checks.freezes import check_freezes, check_suspension
from reconciler.policy.checks.shared import check_file, check_folder, check_labels, idle, is_plain_path, unique
from reconciler.policy.checks.sidecar import check_outbound_policy
from reconciler.policy.checks.telemetry import check_metrics, check_telemetry
from reconciler.policy.findings import Report

_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|\Z)|/\.|\.(?:/|\Z)))(?![-./])[^\x00-\x20\x7f~^:?*\[\\]+(?<!/)\Z")

_WAYS = ("ads", "files", "runtime")
_SCHEMES = ("http://", "https://")

_CERTIFICATES = {
    "directory": "directory",
    "certificate_chain": "certificateChain",
    "private_key": "privateKey",
    "root_certificate": "rootCertificate",
    "system_certificates": "systemCertificates",
}


def check_proxy(spec: Proxy, report: Report) -> None:
    """Exactly one way to push; an admin address; a workload (sidecar) or labels (gateway).

    An Envoy that someone else configures (`runtime`) and a gRPC application may be neither to us.
    """
    _check_role(spec, report)
    if spec.workload and not is_name(spec.workload):
        report.error("name", f"{spec.workload!r} is not a valid name", "workload", hint=NAME_HINT)
    check_labels(spec.labels, report, "labels")
    _check_admin(spec, report)
    given = [name for name in _WAYS if getattr(spec.push, name) is not None]
    if len(given) != 1:
        what = f"{len(given)} ways" if given else "no way"
        hint = "write one of `push: {ads: {}}`, `push: {files: {directory: /var/lib/envoy/NAME}}`, `push: {runtime: {routes: [...]}}`"
        report.error("one-of", f"the proxy has {what} to be pushed to", "push", hint=hint, key=True)
    if spec.push.files is not None and not is_plain_path(spec.push.files.directory):
        message = f"{spec.push.files.directory!r} is not an absolute path without `.` and `..`"
        report.error("value", message, "push", "files", "directory", hint="write it like /var/lib/envoy/NAME")
    if spec.push.runtime is not None:
        _check_runtime(spec.push.runtime, report)
    _check_certificates(spec.certificates, report)
    _check_locality(spec, report)
    check_metrics(spec, report)


def _check_admin(spec: Proxy, report: Report) -> None:
    """An address, unless the proxy tells by its stream what it has."""
    hint = "write http://127.0.0.1:9901 or unix:///run/envoy/admin.sock"
    if not spec.admin:
        if spec.push.ads is None:
            report.error("missing-field", "the proxy has no admin address", "admin", hint=hint)
    elif spec.push.ads is not None and spec.push.ads.client is Client.GRPC:
        report.error("one-of", "a gRPC application has no admin endpoint", "admin", hint="leave it out", key=True)
    elif not is_admin_address(spec.admin):
        report.error("address", f"{spec.admin!r} is not an admin address", "admin", hint=hint)
    elif spec.admin.startswith("unix://") and not fits_socket(spec.admin.removeprefix("unix://")):
        message = "the path of the admin socket has more than 107 bytes, which no system takes"
        report.error("address", message, "admin", hint="move the socket to a shorter path")


def _check_role(spec: Proxy, report: Report) -> None:
    if spec.workload and spec.labels:
        hint = "a sidecar has `workload: NAME` (a WorkloadEntry), a gateway has `labels: {...}`"
        report.error("one-of", "the proxy has both workload and labels", "labels", hint=hint, key=True)
    if not spec.workload and not spec.labels and spec.push.whole:
        hint = "give a sidecar `workload: NAME` (a WorkloadEntry), and a gateway `labels: {...}`"
        report.error("one-of", "the proxy has neither workload nor labels", "workload", hint=hint, key=True)


def _check_locality(spec: Proxy, report: Report) -> None:
    problem = locality_problem(spec.locality) if spec.locality else ""
    if problem:
        report.error("value", problem, "locality", hint="write it like us-west/zone1/rack2, or less of it")
    elif spec.locality and spec.workload:
        idle(report, "a sidecar has the locality of its WorkloadEntry", "locality", hint="write it there")


def is_admin_address(text: str) -> bool:
    """`http://host:port`, `https://host:port` or `unix:///path`."""
    if text.startswith("unix://"):
        path = text.removeprefix("unix://")
        return is_plain_path(path) and not path.endswith("/")
    scheme = next((item for item in _SCHEMES if text.startswith(item)), None)
    return scheme is not None and endpoint(text.removeprefix(scheme).removesuffix("/")) is not None


def check_mesh(spec: MeshSpec, report: Report) -> None:
    """The domain, the record branch, and a deadline that something can be done in."""
    problem = host_problem(spec.domain, wildcard=False)
    if problem:
        report.error("host", problem, "domain", hint="write it like cluster.local")
    if not _BRANCH.match(spec.record.branch):
        message = f"{spec.record.branch!r} is not a branch name that Git takes"
        report.error("value", message, "record", "branch", hint="write it like reconciler/record")
    check_record(spec.record, report.below("record"))
    check_notifications(spec.notifications, report)
    if not spec.verify_deadline:
        report.error("duration", "verifyDeadline must be more than 0s", "verifyDeadline", hint="the default is 10s")
    for index, text in enumerate(spec.admin_allow):
        if not is_network(text):
            message = f"{text!r} is neither an IP address nor a network"
            report.error("address", message, "adminAllow", index, hint="write it like 10.1.2.3 or 10.0.0.0/8")
    _check_certificates(spec.certificates, report)
    check_outbound_policy(spec.outbound_traffic_policy, report.below("outboundTrafficPolicy"))
    check_discovery(spec.discovery, report.below("discovery"))
    check_freezes(spec.freezes, report.below("freezes"))
    if spec.suspend is not None:
        check_suspension(spec.suspend, report.below("suspend"))
    check_telemetry(spec.telemetry, report.below("telemetry"))


def _check_certificates(certificates: Certificates, report: Report) -> None:
    for name, field in _CERTIFICATES.items():
        check = check_folder if field == "directory" else check_file
        check(getattr(certificates, name), report, "certificates", field)


def _check_runtime(push: RuntimePush, report: Report) -> None:
    path = ("push", "runtime", "routes")
    if not push.routes:
        report.error("missing-field", "a runtime proxy needs at least one mapped route", *path)
    for index, route in enumerate(push.routes):
        namespace, slash, name = route.virtual_service.rpartition("/")
        if not is_name(name) or (slash and not is_label(namespace)):
            message = f"{route.virtual_service!r} is not `name` or `namespace/name`"
            report.error("name", message, *path, index, "virtualService", hint=NAME_HINT)
        if not route.clusters:
            message = "a mapped route needs its clusters"
            report.error("missing-field", message, *path, index, "clusters", hint="Envoy's cluster name by subset")
        names = ((cluster, (*path, index, "clusters", subset)) for subset, cluster in route.clusters.items())
        unique(report, "the cluster", names)
    unique(report, "the prefix", ((route.prefix, (*path, index, "prefix")) for index, route in enumerate(push.routes)))
