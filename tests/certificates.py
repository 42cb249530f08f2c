"""Certificates for tests: an authority of their own, and PEM files that servers, clients and Envoys read.

An authority costs a few milliseconds; nothing here leaves the folder it is given or is trusted by anything else.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate in files.

    Attributes:
        chain: The certificate, PEM.
        key: Its private key, PEM.
        serial: Of the certificate as it was when this value was made; tells a renewed one apart.
    """

    chain: Path
    key: Path
    serial: int


class Authority:
    """A certificate authority in a folder, which is created if absent.

    Args:
        folder: Where files go: `ca.pem` at once, and a pair of files for each certificate that is issued.

    Attributes:
        root: The authority's own certificate, PEM: what to trust.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.root = folder / "ca.pem"
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(self.root)

    def issue(self, *names: str, file: str = "", valid: timedelta = timedelta(days=1)) -> Pair:
        """A certificate for these names, good for servers and clients alike, in `<file>.pem` and `<file>.key`.

        Files of the same name are replaced by rename, the key first, which is how a running Envoy notices: so issuing a
        second time renews.

        Args:
            names: DNS names or IP addresses; the first is the common name too.
            file: The first name by default.
            valid: From now; negative for one that has expired.
        """
        end = datetime.now(UTC) + valid
        leaf = self._ca.issue_cert(*names, common_name=names[0], not_before=end - timedelta(days=2), not_after=end)
        stem = file or names[0].replace("*", "any")
        chain, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        _replace(key, leaf.private_key_pem.bytes())
        _replace(chain, b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        return Pair(chain, key, serial_of(chain.read_bytes()))

    def identify(self, uri: str, *addresses: str, file: str) -> Pair:
        """A certificate for a URI, as workloads of a mesh have them, and for IP addresses, good for servers and clients alike."""
        end = datetime.now(UTC) + timedelta(days=1)
        key = generate_private_key(SECP256R1())
        issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes()).subject
        signer = load_pem_private_key(self._ca.private_key_pem.bytes(), password=None)
        assert isinstance(signer, EllipticCurvePrivateKey), "trustme makes elliptic curve keys"
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)]
        names += [x509.IPAddress(ip_address(item)) for item in addresses]
        builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=x509.Name([]), public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(end - timedelta(days=2))
        builder = builder.not_valid_after(end).add_extension(x509.SubjectAlternativeName(names), critical=True)
        body = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
        chain, path = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        _replace(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _replace(chain, body)
        return Pair(chain, path, serial_of(body))

    def revoke(self, pairs: Iterable[Pair], *, file: str = "crl") -> Path:
        """A list of revoked certificates, signed, in `<file>.pem`; replaces the one before."""
        now = datetime.now(UTC)
        issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes()).subject
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer)
        builder = builder.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=1))
        for pair in pairs:
            entry = (
                x509.RevokedCertificateBuilder().serial_number(pair.serial).revocation_date(now - timedelta(hours=1))
            )
            builder = builder.add_revoked_certificate(entry.build())
        key = load_pem_private_key(self._ca.private_key_pem.bytes(), password=None)
        assert isinstance(key, EllipticCurvePrivateKey), "trustme makes elliptic curve keys"
        path = self.folder / f"{file}.pem"
        _replace(path, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path

    def client_context(self, pair: Pair | None = None) -> ssl.SSLContext:
        """What a client needs to trust this authority's servers, and to show a certificate if there is one."""
        context = ssl.create_default_context(cafile=str(self.root))
        if pair is not None:
            context.load_cert_chain(pair.chain, pair.key)
        return context

    def server_context(self, pair: Pair, *, mutual: bool = False) -> ssl.SSLContext:
        """What a server needs to show a certificate, and to ask its clients for one of this authority if mutual."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.root))
        context.load_cert_chain(pair.chain, pair.key)
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
        return context


def serial_of(certificate: bytes) -> int:
    """The serial number of a certificate, PEM or, as `SSLSocket.getpeercert(binary_form=True)` gives it, DER."""
    pem = certificate.startswith(b"-----")
    return (x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate)(certificate).serial_number


def _replace(path: Path, body: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(body)
    beside.replace(path)
