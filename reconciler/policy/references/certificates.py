"""Certificates that policies rely on and that no document names.

Where there are proxies, `compile` says it of those that lack one of their own; here it is said as long as there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model.destinationrule import DestinationRule
from reconciler.model.gateway import ServerTLS, ServerTLSMode
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.proxy import Certificates, Proxy
from reconciler.model.services import selected
from reconciler.model.trafficpolicy import ClientTLS, ClientTLSMode
from reconciler.policy.findings import Report
from reconciler.policy.references.destinationrules import policies
from reconciler.policy.references.index import Index

_CODE = "ref-certificates"
_OWN = "name certificateChain, privateKey and rootCertificate in `certificates` of the Mesh, or of each Proxy"
_FOLDER = "name it in `certificates.directory` of the Mesh, or of each Proxy"


def check_certificates(index: Index) -> Iterator[Finding]:
    """The proxies' own certificates (ISTIO_MUTUAL, https admin), and the folder that credentialName is looked up in."""
    if index.failed("Proxy"):
        return
    proxies = [proxy for proxy in index.mesh.proxies if proxy.spec.push.whole]
    own = _has_own(index.mesh.settings.certificates)
    yield from () if own or proxies else _mutual(index)
    yield from (finding for proxy in proxies for finding in _observed(proxy, index.mesh.settings.certificates))
    for rule in index.mesh.destination_rules:
        report = Report(rule.origin)
        for path, tls in _blocks(rule):
            if tls.credential_name:
                _check_folder("credentialName", proxies, index, report.below(*path))
        yield from report.findings
    for gateway in index.mesh.gateways:
        report = Report(gateway.origin)
        opening = [
            item for item in proxies if not item.spec.workload and selected(item.spec.labels, gateway.spec.selector)
        ]
        for number, server in enumerate(gateway.spec.servers):
            if server.tls is not None:
                _check_server(server.tls, opening, index, report.below("servers", number, "tls"))
        yield from report.findings


def _blocks(rule: Policy[DestinationRule]) -> Iterator[tuple[FieldPath, ClientTLS]]:
    for path, settings in policies(rule.spec):
        if settings.tls is not None:
            yield (*path, "tls"), settings.tls
        for number, item in enumerate(settings.port_level_settings):
            if item.tls is not None:
                yield (*path, "portLevelSettings", number, "tls"), item.tls


def _mutual(index: Index) -> Iterator[Finding]:
    """ISTIO_MUTUAL in a folder without proxies and certificates: once, since one mending does for all."""
    client, server = ClientTLSMode.ISTIO_MUTUAL, ServerTLSMode.ISTIO_MUTUAL
    asking: list[tuple[Policy[Any], FieldPath]] = [
        (rule, path) for rule in index.mesh.destination_rules for path, tls in _blocks(rule) if tls.mode is client
    ]
    ending: list[tuple[Policy[Any], FieldPath]] = [
        (gateway, ("servers", number, "tls"))
        for gateway in index.mesh.gateways
        for number, item in enumerate(gateway.spec.servers)
        if item.tls is not None and item.tls.mode is server
    ]
    kinds = (
        (asking, "connections stay in plain text", "blocks of DestinationRules"),
        (ending, "nothing can be served here", "servers of Gateways"),
    )
    for places, effect, what in kinds:
        for policy, path in sorted(places, key=_place)[:1]:
            more = f" (as at {len(places) - 1} more {what})" if len(places) > 1 else ""
            report = Report(policy.origin)
            message = f"ISTIO_MUTUAL needs a certificate of the proxy's own, and none is named: {effect}{more}"
            report.warning(_CODE, message, *path, hint=_OWN)
            yield from report.findings


def _observed(proxy: Policy[Proxy], mesh: Certificates) -> Iterator[Finding]:
    """An https admin address is a listener of the proxy's that shows its certificate and asks for one."""
    own = proxy.spec.certificates
    merged = Certificates(**{name: value or getattr(mesh, name) for name, value in own})
    report = Report(proxy.origin)
    if proxy.spec.metrics is not None and proxy.spec.metrics.mutual_tls and not _has_own(merged):
        message = "metrics by mutual TLS need a certificate of the proxy's own, and none is named: no bootstrap can be rendered"
        report.warning(_CODE, message, "metrics", "mutualTls", hint=_OWN)
    if proxy.spec.admin.startswith("https://") and not _has_own(merged):
        message = "an https admin address needs a certificate of the proxy's own, and none is named: no bootstrap can be rendered"
        report.warning(_CODE, message, "admin", hint=_OWN)
    yield from report.findings


def _place(item: tuple[Policy[Any], FieldPath]) -> tuple[str, int]:
    return item[0].origin.file, item[0].origin.document


def _check_server(tls: ServerTLS, proxies: list[Policy[Proxy]], index: Index, report: Report) -> None:
    names = {
        "credentialName": tls.credential_name,
        "credentialNames": tls.credential_names,
        "caCertCredentialName": tls.ca_cert_credential_name,
    }
    field = next((field for field, value in names.items() if value), "")
    if field:
        _check_folder(field, proxies, index, report)


def _check_folder(field: str, proxies: list[Policy[Proxy]], index: Index, report: Report) -> None:
    """A credential is a folder below a directory, which by default is the house's; a Mesh may have taken it away."""
    if index.mesh.settings.certificates.directory:
        return
    lacking = [proxy for proxy in proxies if not proxy.spec.certificates.directory]
    if lacking or not proxies:
        whose = f"Proxy {lacking[0].key.short()}" if lacking else "a proxy"
        message = f"no document says in which directory {whose} has its credentials"
        report.warning(_CODE, message, field, hint=_FOLDER)


def _has_own(certificates: Certificates) -> bool:
    return bool(certificates.certificate_chain and certificates.private_key and certificates.root_certificate)
