"""Gateway: Istio's `networking/v1alpha3/gateway.proto`: the listeners at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.protocol import AnyCaseProtocol
from reconciler.model.spec import Labels, PortNumber, Spec


class ServerPort(Spec):
    """The port a gateway server listens on.

    Attributes:
        number: What the listener binds.
        protocol: What is spoken on it; HTTP/2 is taken on `HTTP` too from clients that begin with it.
        name: Unique in the Gateway.
    """

    refused: ClassVar[Mapping[str, str]] = {"targetPort": "Istio ignores it; the listener binds `number`"}

    number: PortNumber
    protocol: AnyCaseProtocol
    name: Annotated[str, Field(min_length=1)]


class ServerTLSMode(StrEnum):
    """What a gateway does with TLS.

    PASSTHROUGH: passes it on by server name (a VirtualService's `tls` routes). SIMPLE: ends it. MUTUAL: ends it and asks for
    a client certificate. OPTIONAL_MUTUAL: takes one if there is one. ISTIO_MUTUAL: MUTUAL with the proxy's own certificates.
    """

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TLSProtocol(StrEnum):
    """Versions of TLS; `TLS_AUTO` is the house's choice: 1.2 at least, 1.3 at most."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class TLSCertificate(Spec):
    """One of several certificates of a server, of different key types.

    Attributes:
        server_certificate: File of the certificate chain.
        private_key: File of its key.
    """

    refused: ClassVar[Mapping[str, str]] = {"caCertificates": "Istio ignores it; use `tls.caCertificates`"}

    server_certificate: str = ""
    private_key: str = ""


class ServerTLS(Spec):
    """TLS from clients. Certificates and keys are files on the proxy's own host.

    Attributes:
        https_redirect: On an HTTP server: answers every request with a 301 to https.
        mode: What is done with TLS.
        server_certificate: File of the certificate chain.
        private_key: File of its key.
        ca_certificates: File of the CAs that client certificates are checked against.
        ca_crl: File of revoked client certificates.
        credential_name: Instead of the files: a folder below `certificates.directory` with `tls.crt`, `tls.key`, `ca.crt`.
        credential_names: Two such folders, one with an RSA and one with an ECDSA certificate.
        ca_cert_credential_name: The folder of `ca.crt` alone; `<credentialName>-cacert` or `credentialName` by default.
        tls_certificates: Two pairs of files, one RSA and one ECDSA.
        subject_alt_names: Of which a client's certificate must have one.
        verify_certificate_spki: Base64 SHA-256 of public keys that clients may have.
        verify_certificate_hash: Hex SHA-256 of certificates that clients may have.
        min_protocol_version: `TLSV1_2` by default.
        max_protocol_version: `TLSV1_3` by default.
        cipher_suites: For TLS up to 1.2; Envoy's by default.
        insecure_skip_verify: Takes client certificates without checking them; for `OPTIONAL_MUTUAL`.
    """

    refused: ClassVar[Mapping[str, str]] = {"ecdhCurves": "Envoy offers X25519 and P-256, as it does by itself"}

    https_redirect: bool = False
    mode: ServerTLSMode = ServerTLSMode.PASSTHROUGH
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str = ""
    tls_certificates: tuple[TLSCertificate, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TLSProtocol = TLSProtocol.TLS_AUTO
    max_protocol_version: TLSProtocol = TLSProtocol.TLS_AUTO
    cipher_suites: tuple[str, ...] = ()
    insecure_skip_verify: bool | None = None


class Server(Spec):
    """One listener of a gateway, for some hosts.

    Attributes:
        port: Where it listens.
        bind: Address to listen on; all of them by default.
        hosts: `host`, `namespace/host`, `*/host` or `./host`; the namespace is the VirtualService's.
        tls: TLS from clients; needed for `HTTPS` and `TLS`.
        name: Unique in the Gateway; for readers.
    """

    refused: ClassVar[Mapping[str, str]] = {"defaultEndpoint": "Istio ignores it"}

    port: ServerPort
    bind: str = ""
    hosts: tuple[str, ...] = ()
    tls: ServerTLS | None = None
    name: str = ""


class Gateway(Spec):
    """Listeners at the edge.

    Attributes:
        servers: Ports and the hosts that are served there.
        selector: Labels of the Proxies that open these listeners; empty selects every gateway proxy.
    """

    servers: tuple[Server, ...] = ()
    selector: Labels = {}
