"""The certificates that tests stand on."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.certificates import Authority, Pair, serial_of


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bytes:
    """The server's certificate, as the client got it, DER."""
    near, far = socket.socketpair()
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as end:
                end.sendall(end.recv(1))
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname=name) as end:
            end.sendall(b"x")
            end.recv(1)
            return end.getpeercert(binary_form=True) or b""
    finally:
        near.close()
        thread.join()
        far.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def test_a_certificate_is_good_for_its_names_only(authority: Authority) -> None:
    """A test that is served by the wrong certificate fails."""
    pair = authority.issue("a.example", "b.example")
    server, client = authority.server_context(pair), authority.client_context()
    assert serial_of(handshake(server, client, "b.example")) == pair.serial
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(server, client, "c.example")


def test_authorities_do_not_trust_each_other(authority: Authority, tmp_path: Path) -> None:
    """A client of another authority fails, and so does a server."""
    other = Authority(tmp_path / "other")
    server = authority.server_context(authority.issue("a.example"), mutual=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, other.client_context(), "a.example")
    with pytest.raises(OSError, match=r"(?i)alert|reset|EOF|pipe"):
        handshake(server, _trusting(authority, other.issue("client.example")), "a.example")
    assert handshake(server, _trusting(authority, authority.issue("client.example")), "a.example")


def _trusting(authority: Authority, pair: Pair) -> ssl.SSLContext:
    return authority.client_context(pair)


def test_issuing_again_renews_in_place(authority: Authority) -> None:
    """The files keep their paths and get another certificate and key."""
    first = authority.issue("a.example")
    key = first.key.read_bytes()
    second = authority.issue("a.example")
    assert (first.chain, first.key) == (second.chain, second.key)
    assert first.serial != second.serial == serial_of(first.chain.read_bytes())
    assert key != second.key.read_bytes()


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    """Validity may lie in the past."""
    server = authority.server_context(authority.issue("a.example", valid=timedelta(hours=-1)))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(server, authority.client_context(), "a.example")


def test_a_revoked_certificate_is_refused_by_who_reads_the_list(authority: Authority) -> None:
    """The list is signed by the authority and names the certificate."""
    good, bad = authority.issue("good.example"), authority.issue("bad.example")
    client = authority.client_context()
    client.load_verify_locations(authority.revoke([bad]))
    client.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    assert handshake(authority.server_context(good), client, "good.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        handshake(authority.server_context(bad), client, "bad.example")
