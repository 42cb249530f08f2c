"""Rules for registries that list targets: Prometheus's file_sd and http_sd, and DNS; and how targets become services."""

from __future__ import annotations

from reconciler.model.discovery import Dns, DnsService, FileSd, HttpSd, Naming
from reconciler.model.hosts import is_address
from reconciler.policy.checks.addresses import url_problem
from reconciler.policy.checks.formats import HOST_HINT, NAME_HINT, endpoint, host_problem, is_label, is_name
from reconciler.policy.checks.serviceentry import check_port_name, check_ports
from reconciler.policy.checks.shared import check_labels, idle, is_plain_path, unique
from reconciler.policy.findings import Report, close

_WILD = "*"
_SRV = "_"
_SRV_LABELS = 3
_FILE_HINT = "it is a path on the daemon's host, like /etc/reconciler/token"


def check_file_sd(spec: FileSd, report: Report) -> None:
    """Files that can be found."""
    for number, text in enumerate(spec.files):
        folder, _, name = text.rpartition("/")
        if not is_plain_path(text) or not name:
            message = f"{text!r} is not the absolute path of a file, without `.` and `..`"
            report.error("value", message, "files", number, hint="write it like /etc/targets/*.json")
        elif _WILD in folder:
            message = f"{text!r} has a * in a folder's name; only the file's may have one"
            report.error("value", message, "files", number, hint="list the files of each folder")
    unique(report, "the file", ((text, ("files", number)) for number, text in enumerate(spec.files)))
    _check_interval(spec, report)
    check_naming(spec, report)


def check_http_sd(spec: HttpSd, report: Report) -> None:
    """A URL that a token can be sent to."""
    problem = url_problem(spec.url, secret=bool(spec.token_file))
    if problem:
        hint = (
            "write https://, or an address of this machine" if spec.token_file else "write it like http://host/targets"
        )
        report.error("address", problem, "url", hint=hint)
    check_local_file(spec.token_file, report, "tokenFile")
    check_authorities(spec.ca, report, secure=spec.url.startswith("https://"))
    _check_interval(spec, report)
    check_naming(spec, report)


def _check_interval(spec: FileSd | HttpSd, report: Report) -> None:
    if not spec.interval:
        report.error("duration", "interval must be more than 0s", "interval", hint="leave it out for the default")


def check_naming(spec: Naming, report: Report) -> None:
    """The host, or the label that says it, and the port that a target's is. A registry that has names of its own needs neither."""
    usual = type(spec).model_fields["host_label"].default
    if spec.host:
        check_host(spec.host, report, "host")
        if spec.host_label != usual:
            message = "all targets are instances of `host`, so no label says which host they are of"
            report.error("one-of", message, "hostLabel", hint="remove one of the two", key=True)
    elif usual and not spec.host_label:
        message = "nothing says which service a target belongs to"
        report.error("missing-field", message, "hostLabel", hint="write host, or the name of a label here")
    check_namespace(spec.namespace, report)
    check_ports(spec.ports, report)
    names = [port.name for port in spec.ports]
    if spec.port:
        check_port_name(spec.port, report, "port")
        if names and spec.port not in names:
            hint = close(spec.port, names) or f"they are {', '.join(names)}"
            report.error("value", f"ports has none of the name {spec.port}", "port", hint=hint)
    elif len(names) > 1:
        message = "a target has one port, and nothing says which of these it is"
        report.error("missing-field", message, "port", hint=f"write one of {', '.join(names)}")


def check_dns(spec: Dns, report: Report) -> None:
    """Names that can be looked up, at servers that can be asked."""
    for number, service in enumerate(spec.services):
        _check_dns_service(service, report.below("services", number))
    hosts = ((service.host, ("services", number, "host")) for number, service in enumerate(spec.services))
    unique(report, "the host", hosts)
    for number, text in enumerate(spec.servers):
        parts = endpoint(text)
        if not is_address(text) and (parts is None or not is_address(parts[0])):
            message = f"{text!r} is not a DNS server's IP address, or address and port"
            report.error("address", message, "servers", number, hint="write it like 10.0.0.53 or 127.0.0.1:5353")
    unique(report, "the server", ((text, ("servers", number)) for number, text in enumerate(spec.servers)))
    check_namespace(spec.namespace, report)
    if not spec.min_ttl:
        report.error("duration", "minTtl must be more than 0s", "minTtl", hint="the default is 1s")
    if spec.max_ttl < spec.min_ttl:
        report.error("duration", "maxTtl must not be less than minTtl", "maxTtl", hint="its default is 5m")


def _check_dns_service(service: DnsService, report: Report) -> None:
    check_host(service.host, report, "host")
    for number, name in enumerate(service.names):
        problem = _srv_problem(name) if name.startswith(_SRV) else host_problem(name.lower(), wildcard=False)
        if problem:
            hint = "write it like db.example.com, or _http._tcp.reviews.example.com for SRV"
            report.error("host", problem, "names", number, hint=hint)
    unique(report, "the name", ((name, ("names", number)) for number, name in enumerate(service.names)))
    plain = [name for name in service.names if not name.startswith(_SRV)]
    if plain and service.port is None:
        message = f"{plain[0]} gives addresses, and nothing says which port instances have"
        report.error("missing-field", message, "port", hint="write it, or a name of SRV records")
    elif not plain and service.port is not None:
        message = "SRV records have their own ports"
        report.error("one-of", message, "port", hint="remove it", key=True)
    check_labels(service.labels, report, "labels")
    check_ports(service.ports, report)


def _srv_problem(name: str) -> str:
    labels = name.lower().removesuffix(".").split(".")
    service = [label.removeprefix(_SRV) for label in labels[:2]]
    fits = len(labels) >= _SRV_LABELS and labels[1].startswith(_SRV) and all(map(is_label, service))
    return "" if fits and is_name(".".join(labels[2:])) else f"{name!r} is not a name of SRV records"


def check_host(host: str, report: Report, *path: str | int) -> None:
    """Note a host that no service can have; wildcards are Git's to declare."""
    problem = host_problem(host, wildcard=False)
    if problem:
        report.error("host", problem, *path, hint=HOST_HINT)


def check_namespace(text: str, report: Report) -> None:
    """Note a namespace that no document can be in."""
    if not is_label(text):
        report.error("name", f"{text!r} is not a namespace", "namespace", hint=NAME_HINT)


def check_local_file(text: str, report: Report, *path: str | int) -> None:
    """Note a path on the daemon's host that depends on where the daemon was started."""
    if text and (not is_plain_path(text) or text.endswith("/")):
        message = f"{text!r} is not the absolute path of a file, without `.` and `..`"
        report.error("value", message, *path, hint=_FILE_HINT)


def check_authorities(text: str, report: Report, *, secure: bool) -> None:
    """Note authorities that can't be found, or that nothing is checked against."""
    check_local_file(text, report, "ca")
    if text and not secure:
        idle(report, "without https:// no certificate is checked", "ca", hint="write https://, or remove it")
