"""Rules for TLS towards endpoints, by Istio's `ValidateTLS`."""

from __future__ import annotations

from reconciler.model.trafficpolicy import ClientTLS, ClientTLSMode
from reconciler.policy.checks.formats import NAME_HINT, is_name
from reconciler.policy.checks.shared import check_file, idle
from reconciler.policy.findings import Report

_FILES = {
    "client_certificate": "clientCertificate",
    "private_key": "privateKey",
    "ca_certificates": "caCertificates",
    "ca_crl": "caCrl",
}
_OWN = ("client_certificate", "private_key")
_CHECKS = {
    "ca_certificates": "caCertificates",
    "credential_name": "credentialName",
    "subject_alt_names": "subjectAltNames",
}


def check_client_tls(tls: ClientTLS, report: Report) -> None:
    """Certificates for the mode, from one place; the report's paths begin at the settings."""
    for name, field in _FILES.items():
        check_file(getattr(tls, name), report, field)
    if tls.credential_name and not is_name(tls.credential_name):
        message = f"{tls.credential_name!r} is not a valid name: it is that of a folder"
        report.error("name", message, "credentialName", hint=NAME_HINT)
    match tls.mode:
        case ClientTLSMode.SIMPLE | ClientTLSMode.MUTUAL:
            _check_certificates(tls, report)
            _check_skipped(tls, report)
        case ClientTLSMode.DISABLE | ClientTLSMode.ISTIO_MUTUAL:
            _check_unused(tls, report)


def _check_certificates(tls: ClientTLS, report: Report) -> None:
    given = [name for name in _FILES if getattr(tls, name)]
    if tls.credential_name:
        if given:
            field = _FILES[given[0]]
            message = f"{field} can't stand beside credentialName, which names all of the files"
            report.error("one-of", message, field, hint="keep one of the two", key=True)
    elif tls.mode is ClientTLSMode.MUTUAL:
        for name in _OWN:
            if name not in given:
                message = f"MUTUAL needs {_FILES[name]}"
                report.error("missing-field", message, _FILES[name], hint="add it, or a credentialName")
    else:
        for name in _OWN:
            if name in given:
                idle(
                    report,
                    f"SIMPLE shows no certificate, so {_FILES[name]} changes nothing",
                    _FILES[name],
                    hint="write MUTUAL",
                )


def _check_skipped(tls: ClientTLS, report: Report) -> None:
    if not tls.insecure_skip_verify:
        return
    for name, field in _CHECKS.items():
        if getattr(tls, name) and not (name == "credential_name" and tls.mode is ClientTLSMode.MUTUAL):
            message = f"{field} is for checking servers, and insecureSkipVerify turns the check off"
            report.error("one-of", message, field, hint="remove insecureSkipVerify", key=True)


def _check_unused(tls: ClientTLS, report: Report) -> None:
    fields = {**_FILES, "credential_name": "credentialName", "insecure_skip_verify": "insecureSkipVerify"}
    why = "ISTIO_MUTUAL takes its certificates from Mesh or Proxy"
    if tls.mode is ClientTLSMode.DISABLE:
        fields |= {"subject_alt_names": "subjectAltNames", "sni": "sni"}
        why = "DISABLE is without TLS"
    for name, field in fields.items():
        if getattr(tls, name):
            idle(report, f"{why}, so {field} changes nothing", field, hint="remove it, or write another mode")
