"""Rules for TLS from clients, at a gateway or a sidecar's ingress, by Istio's CRDs and `validateTLSOptions`."""

from __future__ import annotations

import base64
import binascii
import re

from reconciler.model.gateway import ServerTLS, ServerTLSMode, TLSProtocol
from reconciler.policy.checks.ciphers import check_ciphers
from reconciler.policy.checks.formats import NAME_HINT, is_name
from reconciler.policy.checks.shared import check_file, idle, unique
from reconciler.policy.findings import Report

FILES = {
    "server_certificate": "serverCertificate",
    "private_key": "privateKey",
    "ca_certificates": "caCertificates",
    "ca_crl": "caCrl",
}
SECRETS = {
    "credential_name": "credentialName",
    "credential_names": "credentialNames",
    "tls_certificates": "tlsCertificates",
    "ca_cert_credential_name": "caCertCredentialName",
}
_CLIENTS = {
    "subject_alt_names": "subjectAltNames",
    "verify_certificate_spki": "verifyCertificateSpki",
    "verify_certificate_hash": "verifyCertificateHash",
}
_ASKING = frozenset({ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL, ServerTLSMode.ISTIO_MUTUAL})
_PAIR = 2
_HASH = re.compile(r"(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){31})\Z")
_SHA256 = 32


def check_server_tls(tls: ServerTLS, report: Report) -> None:
    """Certificates for the mode, from one place, and versions and names that Envoy takes; paths begin at the settings."""
    for name, field in FILES.items():
        check_file(getattr(tls, name), report, field)
    _check_names(tls, report)
    _check_sources(tls, report)
    match tls.mode:
        case ServerTLSMode.PASSTHROUGH:
            _check_unused(tls, report, "PASSTHROUGH ends no TLS", (*FILES, *SECRETS, *_CLIENTS))
        case ServerTLSMode.ISTIO_MUTUAL:
            _check_own(tls, report)
        case _:
            _check_terminated(tls, report)
    if tls.mode not in _ASKING and tls.mode is not ServerTLSMode.PASSTHROUGH:
        _check_unused(tls, report, f"{tls.mode} asks for no client certificate", tuple(_CLIENTS))
    if tls.insecure_skip_verify and tls.mode is not ServerTLSMode.OPTIONAL_MUTUAL:
        message = f"insecureSkipVerify is for OPTIONAL_MUTUAL, and changes nothing with {tls.mode}"
        idle(report, message, "insecureSkipVerify")
    _check_pins(tls, report)
    _check_versions(tls, report)


def _check_names(tls: ServerTLS, report: Report) -> None:
    named = [(tls.credential_name, ("credentialName",)), (tls.ca_cert_credential_name, ("caCertCredentialName",))]
    listed = [(name, ("credentialNames", index)) for index, name in enumerate(tls.credential_names)]
    for name, path in (*named, *listed):
        if (name or path in [item[1] for item in listed]) and not is_name(name):
            message = f"{name!r} is not a valid name: it is that of a folder"
            report.error("name", message, *path, hint=NAME_HINT)
    unique(report, "the name", listed)
    for name in ("credential_names", "tls_certificates"):
        if len(getattr(tls, name)) > _PAIR:
            message = f"{SECRETS[name]} has at most two: one with an RSA key and one with an ECDSA key"
            report.error("value", message, SECRETS[name], _PAIR, hint="remove the others")
    for index, pair in enumerate(tls.tls_certificates):
        for field, text in (("serverCertificate", pair.server_certificate), ("privateKey", pair.private_key)):
            check_file(text, report, "tlsCertificates", index, field)
            if not text:
                report.error("missing-field", f"{field} is required", "tlsCertificates", index, field, hint="add it")


def _check_sources(tls: ServerTLS, report: Report) -> None:
    given = [field for name, field in SECRETS.items() if getattr(tls, name) and name != "ca_cert_credential_name"]
    files = [FILES[name] for name in ("server_certificate", "private_key") if getattr(tls, name)]
    if given and files:
        given.append(files[0])
    if len(given) > 1:
        message = f"a server's certificate comes from one place; here are {' and '.join(given)}"
        report.error("one-of", message, given[-1], hint="keep one of them", key=True)


def _check_unused(tls: ServerTLS, report: Report, why: str, names: tuple[str, ...]) -> None:
    fields = FILES | SECRETS | _CLIENTS
    for name in names:
        if getattr(tls, name):
            idle(
                report,
                f"{why}, so {fields[name]} changes nothing",
                fields[name],
                hint="remove it, or write another mode",
            )


def _check_own(tls: ServerTLS, report: Report) -> None:
    for name, field in (FILES | SECRETS).items():
        if getattr(tls, name) and name != "ca_crl":
            message = f"ISTIO_MUTUAL takes its certificates from Mesh or Proxy, so there can't be {field}"
            report.error("one-of", message, field, hint="remove it, or write MUTUAL", key=True)


def _check_terminated(tls: ServerTLS, report: Report) -> None:
    mutual = tls.mode is not ServerTLSMode.SIMPLE
    if tls.ca_crl and not mutual:
        message = "SIMPLE asks for no client certificate, so there can't be a list of revoked ones"
        report.error("one-of", message, "caCrl", hint="remove it, or write MUTUAL", key=True)
    elif tls.ca_crl and (tls.credential_name or tls.credential_names):
        message = "caCrl can't stand beside credentialName: the list belongs into its folder"
        report.error("one-of", message, "caCrl", hint="keep one of the two", key=True)
    if tls.credential_name or tls.credential_names:
        return
    if not tls.tls_certificates:
        for name in ("server_certificate", "private_key"):
            if not getattr(tls, name):
                message = f"{tls.mode} needs {FILES[name]}"
                report.error("missing-field", message, FILES[name], hint="add it, or a credentialName")
    if mutual and not tls.ca_certificates and not tls.ca_cert_credential_name:
        message = f"{tls.mode} needs caCertificates, to check client certificates against"
        report.error("missing-field", message, "caCertificates", hint="add it, or a caCertCredentialName")


def _check_pins(tls: ServerTLS, report: Report) -> None:
    """Envoy takes no listener with a pin that it can't read."""
    for index, text in enumerate(tls.verify_certificate_spki):
        try:
            size = len(base64.b64decode(text, validate=True))
        except binascii.Error:
            size = 0
        if size != _SHA256:
            message = f"{text!r} is not a SHA-256 in base64"
            report.error("value", message, "verifyCertificateSpki", index, hint="44 characters, the last one =")
    for index, text in enumerate(tls.verify_certificate_hash):
        if not _HASH.match(text):
            message = f"{text!r} is not a SHA-256 in hexadecimal"
            report.error("value", message, "verifyCertificateHash", index, hint="64 digits, with or without colons")


def _check_versions(tls: ServerTLS, report: Report) -> None:
    order = list(TLSProtocol)
    low, high = tls.min_protocol_version, tls.max_protocol_version
    lowest = TLSProtocol.TLSV1_2 if low is TLSProtocol.TLS_AUTO else low
    if high is not TLSProtocol.TLS_AUTO and order.index(lowest) > order.index(high):
        shown = "TLSV1_2, the default" if low is TLSProtocol.TLS_AUTO else low
        message = f"no version is at most {high} and at least {shown}"
        report.error("value", message, "maxProtocolVersion", hint="lower minProtocolVersion, or raise this")
    check_ciphers(tls.cipher_suites, lowest, report)
