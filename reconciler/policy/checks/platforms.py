"""Rules for registries that are platforms of their own: Kubernetes, Consul, etcd, and what another package brings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.model.discovery import Consul, Etcd, Kubernetes, Plugin
from reconciler.policy.checks.addresses import url_problem
from reconciler.policy.checks.formats import NAME_HINT, host_problem, is_label, socket_problem
from reconciler.policy.checks.shared import check_labels, idle, unique
from reconciler.policy.checks.targets import check_authorities, check_local_file, check_namespace, check_naming
from reconciler.policy.findings import Report

_DATACENTER = re.compile(r"[A-Za-z0-9_-]+\Z")
_ADAPTER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\Z")
_SOCKET = "unix://"
_SECURE = "https://"
_SAFELY = "a secret goes along, so write https://, or an address of this machine"


def check_kubernetes(spec: Kubernetes, report: Report) -> None:
    """A kubeconfig that can be found, and namespaces, labels and a domain that a cluster can have."""
    check_local_file(spec.kubeconfig, report, "kubeconfig")
    for number, name in enumerate(spec.namespaces):
        if not is_label(name):
            report.error("name", f"{name!r} is not a namespace", "namespaces", number, hint=NAME_HINT)
    unique(report, "the namespace", ((name, ("namespaces", number)) for number, name in enumerate(spec.namespaces)))
    check_labels(spec.selector, report, "selector")
    if spec.domain:
        _check_domain(spec.domain, report)


def check_consul(spec: Consul, report: Report) -> None:
    """An agent that can be asked, and that a token can be sent to."""
    if spec.address.startswith(_SOCKET):
        problem, hint = socket_problem(spec.address), "write it like unix:///run/consul.sock"
    else:
        problem = url_problem(spec.address, secret=bool(spec.token_file))
        hint = _SAFELY if spec.token_file else "write it like http://127.0.0.1:8500"
    if problem:
        report.error("address", problem, "address", hint=hint)
    if spec.datacenter and not _DATACENTER.match(spec.datacenter):
        message = f"{spec.datacenter!r} is not a datacenter's name"
        report.error("name", message, "datacenter", hint="letters, digits, '-' and '_'")
    check_local_file(spec.token_file, report, "tokenFile")
    check_authorities(spec.ca, report, secure=spec.address.startswith(_SECURE))
    unique(report, "the service", ((name, ("services", number)) for number, name in enumerate(spec.services)))
    check_namespace(spec.namespace, report)
    _check_domain(spec.domain, report)


def check_etcd(spec: Etcd, report: Report) -> None:
    """Members that can be asked, and that secrets can be sent to; a certificate has its key."""
    for number, text in enumerate(spec.addresses):
        problem = url_problem(text, secret=bool(spec.username_file))
        if problem:
            hint = _SAFELY if spec.username_file else "write it like http://127.0.0.1:2379"
            report.error("address", problem, "addresses", number, hint=hint)
    unique(report, "the address", ((text, ("addresses", number)) for number, text in enumerate(spec.addresses)))
    check_local_file(spec.username_file, report, "usernameFile")
    secure = _secure(spec.addresses)
    check_authorities(spec.ca, report, secure=secure)
    check_local_file(spec.certificate, report, "certificate")
    check_local_file(spec.key, report, "key")
    if bool(spec.certificate) != bool(spec.key):
        there, missing = ("certificate", "key") if spec.certificate else ("key", "certificate")
        report.error("missing-field", f"a {there} is of no use without its {missing}", missing, hint="write both")
    elif spec.certificate and not secure:
        idle(report, "without https:// no certificate is shown", "certificate", hint="write https://, or remove it")
    check_naming(spec, report)


def check_plugin(spec: Plugin, report: Report) -> None:
    """The name of an entry point."""
    if not _ADAPTER.match(spec.adapter):
        message = f"{spec.adapter!r} is not the name of an entry point"
        report.error("name", message, "adapter", hint="letters, digits, '-', '_' and '.', as its package says")


def _check_domain(domain: str, report: Report) -> None:
    problem = host_problem(domain, wildcard=False)
    if problem:
        report.error("host", problem, "domain", hint="write it like cluster.local")


def _secure(addresses: Sequence[str]) -> bool:
    return any(text.startswith(_SECURE) for text in addresses)
