"""TLS contexts: which certificates are shown, what the other side has to show, and that keys never leave their host."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile.sources import FilesSource
from reconciler.compile.tls import Site, certificates, downstream, upstream
from reconciler.model.gateway import ServerTLS
from reconciler.model.protos import canonical, to_dict
from reconciler.model.proxy import Certificates
from reconciler.model.trafficpolicy import ClientTLS

OWN = Certificates(
    directory="/etc/credentials",
    certificate_chain="/etc/certs/cert-chain.pem",
    private_key="/etc/certs/key.pem",
    root_certificate="/etc/certs/root-cert.pem",
)
SITE = Site(FilesSource("/var/lib/envoy/a"), OWN)
BARE = Site(FilesSource("/var/lib/envoy/a"), Certificates(directory="/etc/credentials"))
PAIR = "file-cert:/etc/certs/cert-chain.pem~/etc/certs/key.pem"


def client(text: str) -> ClientTLS:
    return ClientTLS.model_validate_json(text)


def server(text: str) -> ServerTLS:
    return ServerTLS.model_validate_json(text)


def context(secured: Any) -> dict[str, Any]:
    assert secured is not None
    value: dict[str, Any] = to_dict(canonical(secured.socket))["typed_config"]
    return value


def names(secured: Any) -> list[str]:
    return sorted(item.name for item in secured.secrets)


def test_simple_tls_trusts_the_system_unless_a_file_is_named() -> None:
    """`caCertificates` defaults to the system's CAs, as in Istio: a file, for Envoy has none and would trust anybody."""
    plain = upstream(client('{"mode": "SIMPLE", "sni": "a.example"}'), site=SITE)
    assert names(plain) == ["file-root:/etc/ssl/certs/ca-certificates.crt"]
    elsewhere = Site(FilesSource("/e"), Certificates(system_certificates="/etc/pki/ca.pem"))
    assert names(upstream(client('{"mode": "SIMPLE"}'), site=elsewhere)) == ["file-root:/etc/pki/ca.pem"]
    assert context(plain)["sni"] == "a.example"
    named = upstream(client('{"mode": "SIMPLE", "caCertificates": "/ca.pem", "caCrl": "/crl.pem"}'), site=SITE)
    assert names(named) == ["file-root:/ca.pem~/crl.pem"]


def test_a_client_certificate_is_a_secret_that_names_files() -> None:
    """MUTUAL shows a certificate; nothing but the file names is in the configuration."""
    secured = upstream(
        client(
            '{"mode": "MUTUAL", "clientCertificate": "/c.pem", "privateKey": "/k.pem", "caCertificates": "/ca.pem"}'
        ),
        site=SITE,
    )
    (shown,) = context(secured)["common_tls_context"]["tls_certificate_sds_secret_configs"]
    assert shown["name"] == "file-cert:/c.pem~/k.pem"
    assert shown["sds_config"]["path_config_source"]["path"].startswith("/var/lib/envoy/a/secrets/")
    assert names(secured) == ["file-cert:/c.pem~/k.pem", "file-root:/ca.pem"]


def test_a_credential_name_is_a_folder_on_the_proxys_host() -> None:
    """`credentialName` stands for tls.crt, tls.key and ca.crt below the certificates' directory."""
    secured = upstream(client('{"mode": "MUTUAL", "credentialName": "bank"}'), site=SITE)
    folder = "/etc/credentials/bank"
    assert names(secured) == [f"file-cert:{folder}/tls.crt~{folder}/tls.key", f"file-root:{folder}/ca.crt"]


def test_mesh_tls_uses_the_proxys_own_certificate_or_none_at_all() -> None:
    """ISTIO_MUTUAL offers `istio`, asks for the given server name and expects identities; without certificates it is off."""
    tls = client('{"mode": "ISTIO_MUTUAL"}')
    assert upstream(tls, site=BARE) is None
    secured = upstream(tls, site=SITE, applications=["h2"], sni="outbound_.80_._.b", names=["spiffe://mesh/ns/a/sa/b"])
    assert names(secured) == [PAIR, "file-root:/etc/certs/root-cert.pem"]
    common = context(secured)["common_tls_context"]
    assert common["alpn_protocols"] == ["istio", "h2"]
    (expected,) = common["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
    assert expected == {"san_type": "URI", "matcher": {"exact": "spiffe://mesh/ns/a/sa/b"}}
    assert context(secured)["sni"] == "outbound_.80_._.b"


def test_a_server_that_is_not_checked_needs_no_authority() -> None:
    """`insecureSkipVerify` refers to no CA and takes any certificate."""
    secured = upstream(client('{"mode": "SIMPLE", "insecureSkipVerify": true, "caCertificates": "/ca.pem"}'), site=SITE)
    assert "validation_context" not in context(secured)["common_tls_context"]
    assert names(secured) == []


@pytest.mark.parametrize(
    ("mode", "asked"), [("SIMPLE", False), ("MUTUAL", True), ("OPTIONAL_MUTUAL", False), ("ISTIO_MUTUAL", True)]
)
def test_gateways_ask_for_client_certificates_by_mode(mode: str, *, asked: bool) -> None:
    """MUTUAL requires a client certificate, OPTIONAL_MUTUAL checks one that is there."""
    secured = downstream(server(f'{{"mode": "{mode}", "credentialName": "shop"}}'), site=SITE, applications=["h2"])
    value = context(secured)
    assert value["require_client_certificate"] is asked
    checks = "validation_context_sds_secret_config" in value["common_tls_context"]
    assert checks is (mode != "SIMPLE")
    assert value["common_tls_context"]["alpn_protocols"] == ["h2"]


def test_versions_ciphers_and_several_certificates_are_passed_on() -> None:
    """TLS 1.2 to 1.3 by default; an RSA and an ECDSA certificate may stand side by side."""
    value = context(
        downstream(
            server(
                '{"mode": "SIMPLE", "minProtocolVersion": "TLSV1_3", "cipherSuites": ["ECDHE-RSA-AES256-GCM-SHA384"],'
                '"tlsCertificates": [{"serverCertificate": "/a.pem", "privateKey": "/a.key"},'
                '{"serverCertificate": "/b.pem", "privateKey": "/b.key"}]}'
            ),
            site=SITE,
        )
    )["common_tls_context"]
    assert value["tls_params"]["tls_minimum_protocol_version"] == "TLSv1_3"
    assert value["tls_params"]["cipher_suites"] == ["ECDHE-RSA-AES256-GCM-SHA384"]
    assert len(value["tls_certificate_sds_secret_configs"]) == 2


def test_clients_can_be_pinned() -> None:
    """Subject alternative names, key and certificate hashes of clients stand beside the authority."""
    text = (
        '{"mode": "MUTUAL", "credentialName": "shop", "caCertCredentialName": "clients", "subjectAltNames": ["a.example"],'
        '"verifyCertificateSpki": ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="]}'
    )
    secured = downstream(server(text), site=SITE)
    checks = context(secured)["common_tls_context"]["combined_validation_context"]
    assert checks["validation_context_sds_secret_config"]["name"] == "file-root:/etc/credentials/clients/ca.crt"
    assert set(checks["default_validation_context"]) == {"match_typed_subject_alt_names", "verify_certificate_spki"}


def test_passthrough_and_a_proxy_without_identity_end_no_tls() -> None:
    """PASSTHROUGH never does; ISTIO_MUTUAL not while the proxy has no certificate."""
    assert downstream(server('{"mode": "PASSTHROUGH"}'), site=SITE) is None
    assert downstream(server('{"mode": "ISTIO_MUTUAL"}'), site=BARE) is None


def test_a_proxys_certificates_go_before_the_meshs_field_by_field() -> None:
    """A Proxy names only what differs."""
    merged = certificates(Certificates(private_key="/own.key"), OWN)
    assert merged.private_key == "/own.key"
    assert merged.certificate_chain == OWN.certificate_chain
