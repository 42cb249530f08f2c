"""TLS contexts: towards endpoints and from clients, with certificates as secrets that name files on the proxy's host.

After Istio's `cluster_tls.go` and `gateway.go`; but every certificate comes by SDS from files, so that Envoy takes a renewed one
without a push. What is decided here is how a connection is secured, never which one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext

from reconciler.compile.sources import Source
from reconciler.model.gateway import ServerTLS, ServerTLSMode, TLSProtocol
from reconciler.model.hosts import is_address
from reconciler.model.proxy import Certificates
from reconciler.model.resource import ResourceType
from reconciler.model.secrets import Certificate, Root
from reconciler.model.trafficpolicy import ClientTLS, ClientTLSMode

MUTUAL_ALPN = "istio"
"""What proxies offer each other besides the protocol, so that a listener can tell them from an application's own TLS."""

SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""The CAs that a host trusts, where Debian, Alpine, Arch and Envoy's own images have them."""

_TLS = "envoy.transport_sockets.tls"
_VERSIONS = {
    TLSProtocol.TLSV1_0: TlsParameters.TLSv1_0,
    TLSProtocol.TLSV1_1: TlsParameters.TLSv1_1,
    TLSProtocol.TLSV1_2: TlsParameters.TLSv1_2,
    TLSProtocol.TLSV1_3: TlsParameters.TLSv1_3,
}
_ASKING = {ServerTLSMode.MUTUAL, ServerTLSMode.ISTIO_MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a proxy is configured from and what its host has: what differs between proxies with equal viewers.

    Attributes:
        certificates: What the Proxy names, and else the Mesh, field by field.
    """

    source: Source
    certificates: Certificates

    @property
    def identity(self) -> Certificate | None:
        """The proxy's own certificate, for ISTIO_MUTUAL; None while none is named."""
        own = self.certificates
        if own.certificate_chain and own.private_key and own.root_certificate:
            return Certificate(own.certificate_chain, own.private_key)
        return None

    def credential(self, name: str) -> Certificate:
        """The certificate of a `credentialName`."""
        folder = f"{self.certificates.directory}/{name}"
        return Certificate(f"{folder}/tls.crt", f"{folder}/tls.key")

    def public(self, crl: str) -> Root:
        """The CAs that the proxy's host trusts. Envoy has none of its own: without a file it would trust anybody."""
        return Root(self.certificates.system_certificates or SYSTEM_CERTIFICATES, crl)

    def authority(self, name: str, crl: str = "") -> Root:
        """The CAs of a `credentialName`."""
        return Root(f"{self.certificates.directory}/{name}/ca.crt", crl)


def certificates(own: Certificates, mesh: Certificates) -> Certificates:
    """A proxy's certificates: what its own document names, and else the mesh's, field by field."""
    return Certificates(**{name: value or getattr(mesh, name) for name, value in own})


@dataclass(frozen=True, slots=True)
class Secured:
    """A transport socket, and the secrets that it refers to."""

    socket: Any
    secrets: frozenset[Certificate | Root]


def upstream(
    tls: ClientTLS, *, site: Site, applications: Iterable[str] = (), sni: str = "", names: Iterable[str] = ()
) -> Secured | None:
    """TLS towards endpoints; None for plain connections: mode DISABLE, and ISTIO_MUTUAL while the proxy has no certificate.

    Args:
        tls: What the policy says.
        site: Where the proxy is.
        applications: ALPN protocols to offer.
        sni: Server name to ask for where the policy names none.
        names: Subject alternative names to expect where the policy names none.
    """
    if tls.mode is ClientTLSMode.DISABLE:
        return None
    own, root = _client_files(tls, site)
    if tls.mode is ClientTLSMode.ISTIO_MUTUAL and own is None:
        return None
    context = UpstreamTlsContext(sni=tls.sni or sni)
    common = context.common_tls_context
    common.alpn_protocols.extend(
        [MUTUAL_ALPN, *applications] if tls.mode is ClientTLSMode.ISTIO_MUTUAL else applications
    )
    common.tls_params.tls_minimum_protocol_version = TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = TlsParameters.TLSv1_3
    _present(common, () if own is None else (own,), site)
    root = root or site.public(tls.ca_crl)
    if not tls.insecure_skip_verify:
        validation = CertificateValidationContext()
        expect_names(validation, tls.subject_alt_names or tuple(names))
        _verify(common, validation, root, site)
    return _secured(context, own, None if tls.insecure_skip_verify else root)


def _client_files(tls: ClientTLS, site: Site) -> tuple[Certificate | None, Root | None]:
    """What a client shows, and what it trusts; None for nothing and for the system's CAs."""
    if tls.mode is ClientTLSMode.ISTIO_MUTUAL:
        own = site.identity
        return own, Root(site.certificates.root_certificate, tls.ca_crl) if own else None
    mutual = tls.mode is ClientTLSMode.MUTUAL
    if tls.credential_name:
        own = site.credential(tls.credential_name) if mutual else None
        return own, site.authority(tls.credential_name, tls.ca_crl)
    own = Certificate(tls.client_certificate, tls.private_key) if mutual and tls.client_certificate else None
    return own, Root(tls.ca_certificates, tls.ca_crl) if tls.ca_certificates else None


def downstream(tls: ServerTLS, *, site: Site, applications: Iterable[str] = ()) -> Secured | None:
    """TLS from clients; None where it is not ended: PASSTHROUGH, and ISTIO_MUTUAL while the proxy has no certificate.

    Args:
        tls: What the policy says.
        site: Where the proxy is.
        applications: ALPN protocols to take.
    """
    shown = _server_certificates(tls, site)
    if not shown:
        return None
    context = DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(applications)
    _parameters(common.tls_params, tls)
    _present(common, shown, site)
    root: Root | None = None
    if tls.mode in _ASKING:
        root = _client_authority(tls, site) or site.public(tls.ca_crl)
        context.require_client_certificate.value = tls.mode is not ServerTLSMode.OPTIONAL_MUTUAL
        validation = CertificateValidationContext()
        expect_names(validation, tls.subject_alt_names)
        validation.verify_certificate_spki.extend(tls.verify_certificate_spki)
        validation.verify_certificate_hash.extend(tls.verify_certificate_hash)
        if tls.insecure_skip_verify:
            validation.trust_chain_verification = CertificateValidationContext.ACCEPT_UNTRUSTED
        _verify(common, validation, root, site)
    else:
        context.require_client_certificate.value = False
    return _secured(context, *shown, root)


def _server_certificates(tls: ServerTLS, site: Site) -> tuple[Certificate, ...]:
    if tls.mode is ServerTLSMode.PASSTHROUGH:
        return ()
    if tls.mode is ServerTLSMode.ISTIO_MUTUAL:
        return (site.identity,) if site.identity else ()
    if tls.credential_names:
        return tuple(site.credential(name) for name in tls.credential_names)
    if tls.credential_name:
        return (site.credential(tls.credential_name),)
    if tls.tls_certificates:
        return tuple(Certificate(item.server_certificate, item.private_key) for item in tls.tls_certificates)
    return (Certificate(tls.server_certificate, tls.private_key),) if tls.server_certificate else ()


def _client_authority(tls: ServerTLS, site: Site) -> Root | None:
    if tls.mode is ServerTLSMode.ISTIO_MUTUAL:
        return Root(site.certificates.root_certificate, tls.ca_crl)
    if tls.ca_cert_credential_name:
        return site.authority(tls.ca_cert_credential_name, tls.ca_crl)
    if tls.ca_certificates:
        return Root(tls.ca_certificates, tls.ca_crl)
    name = tls.credential_name or next(iter(tls.credential_names), "")
    return site.authority(name, tls.ca_crl) if name else None


def _parameters(parameters: Any, tls: ServerTLS) -> None:
    parameters.tls_minimum_protocol_version = _VERSIONS.get(tls.min_protocol_version, TlsParameters.TLSv1_2)
    parameters.tls_maximum_protocol_version = _VERSIONS.get(tls.max_protocol_version, TlsParameters.TLSv1_3)
    parameters.cipher_suites.extend(tls.cipher_suites)


def _present(common: Any, shown: Iterable[Certificate], site: Site) -> None:
    for item in shown:
        _refer(common.tls_certificate_sds_secret_configs.add(), item, site)


def expect_names(validation: Any, names: Iterable[str]) -> None:
    """Have the other side's certificate be for one of these: DNS names, IP addresses, URIs or mail addresses."""
    for name in names:
        matcher = validation.match_typed_subject_alt_names.add(san_type=_kind_of(name))
        matcher.matcher.exact = name


def _kind_of(name: str) -> int:
    kind: int = SubjectAltNameMatcher.DNS
    if "://" in name:
        kind = SubjectAltNameMatcher.URI
    elif is_address(name):
        kind = SubjectAltNameMatcher.IP_ADDRESS
    elif "@" in name:
        kind = SubjectAltNameMatcher.EMAIL
    return kind


def _verify(common: Any, validation: Any, root: Root, site: Site) -> None:
    """Check the other side against a root."""
    if validation.ListFields():
        common.combined_validation_context.default_validation_context.CopyFrom(validation)
        _refer(common.combined_validation_context.validation_context_sds_secret_config, root, site)
    else:
        _refer(common.validation_context_sds_secret_config, root, site)


def _refer(config: Any, item: Certificate | Root, site: Site) -> None:
    config.name = item.name
    config.sds_config.CopyFrom(site.source.of(ResourceType.SECRET, item.name))


def _secured(context: Any, *secrets: Certificate | Root | None) -> Secured:
    socket = TransportSocket(name=_TLS)
    socket.typed_config.Pack(context, deterministic=True)
    return Secured(socket, frozenset(item for item in secrets if item is not None))
