"""The client over TLS: who is trusted, what is shown, and every way in which that fails, by name."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from reconciler.http import BadReplyError, DistrustError, Fault, HttpClient, HttpError, TimedOutError, UnreachableError
from reconciler.settings import AdminSettings
from tests.certificates import Authority, Pair
from tests.http.servers import always, answer, dripping, once, serving

YES = always(answer(200, b"yes"))


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """The authority of both sides."""
    return Authority(tmp_path / "ours")


def trusting(authority: Authority | None, pair: Pair | None = None, **more: float) -> AdminSettings:
    """A client of this authority that shows this certificate."""
    limits = {"connect_timeout": 5.0, "read_timeout": 5.0} | more
    return AdminSettings(
        connect_timeout=limits["connect_timeout"],
        read_timeout=limits["read_timeout"],
        ca=str(authority.root) if authority else "",
        certificate=str(pair.chain) if pair else "",
        key=str(pair.key) if pair else "",
    )


def failed(address: str, settings: AdminSettings) -> HttpError:
    """How a call fails, which must say where."""
    with HttpClient(address, settings) as client, pytest.raises(HttpError) as caught:
        client.get("/stats?filter=secret")
    assert address in caught.value.message
    assert "secret" not in caught.value.message
    return caught.value


def test_who_says_so_checks_no_certificate(ours: Authority) -> None:
    """Neither its authority nor its name; whoever does not say so checks both."""
    context = ours.server_context(ours.issue("somebody.else.example"))
    with serving(YES, tls=context) as server:
        with HttpClient(server.address, AdminSettings(verify=False)) as client:
            assert [client.get("/").text for _ in range(2)] == ["yes"] * 2
        distrusted(server.address, AdminSettings(), Fault.AUTHORITY)
        distrusted(server.address, trusting(ours), Fault.NAME)


def distrusted(address: str, settings: AdminSettings, fault: Fault) -> str:
    """That it fails for this reason; its text."""
    error = failed(address, settings)
    assert isinstance(error, DistrustError), error
    assert (error.fault, error.code) == (fault, "http-tls"), error
    return error.message


def test_both_sides_show_their_certificates(ours: Authority) -> None:
    """One connection for many calls, as over TCP."""
    server_context = ours.server_context(ours.issue("127.0.0.1"), mutual=True)
    own = ours.issue("daemon", file="daemon")
    with serving(YES, tls=server_context) as server, HttpClient(server.address, trusting(ours, own)) as client:
        for number in range(5):
            assert client.get(f"/{number}").body == b"yes"
        assert (server.shown, client.connections) == ([own.serial], 1)


def test_certificates_that_are_replaced_are_read_again(ours: Authority) -> None:
    """At the next connection, without a restart of anybody."""
    server_context = ours.server_context(ours.issue("127.0.0.1"), mutual=True)
    first = ours.issue("daemon", file="daemon")
    once_ = once(answer(200, b"yes"))
    with serving(once_, tls=server_context) as server, HttpClient(server.address, trusting(ours, first)) as client:
        client.get("/")
        assert server.ended.acquire(timeout=10)
        second = ours.issue("daemon", file="daemon")
        client.get("/")
        assert server.shown == [first.serial, second.serial]
    assert first.serial != second.serial


def test_only_the_named_authority_is_trusted(ours: Authority, tmp_path: Path) -> None:
    """Neither another private one, nor the public ones."""
    theirs = Authority(tmp_path / "theirs")
    with serving(YES, tls=theirs.server_context(theirs.issue("127.0.0.1"))) as server:
        assert "authority" in distrusted(server.address, trusting(ours), Fault.AUTHORITY)
        assert "authority" in distrusted(server.address, trusting(None), Fault.AUTHORITY)


def test_a_certificate_that_has_expired_is_refused(ours: Authority) -> None:
    """By name, so that nobody looks for another reason."""
    old = ours.issue("127.0.0.1", valid=timedelta(hours=-1))
    with serving(YES, tls=ours.server_context(old)) as server:
        assert "has expired" in distrusted(server.address, trusting(ours), Fault.EXPIRED)


@pytest.mark.parametrize("names", [("127.0.0.2",), ("localhost",), ("*.example.com", "example.com")])
def test_a_certificate_for_somebody_else_is_refused(ours: Authority, names: tuple[str, ...]) -> None:
    """The name in the address counts; a common name does not."""
    with serving(YES, tls=ours.server_context(ours.issue(*names, file="other"))) as server:
        assert "somebody else" in distrusted(server.address, trusting(ours), Fault.NAME)


def test_a_host_name_is_checked_as_a_name(ours: Authority) -> None:
    """`localhost` is no address, and the other way round."""
    with serving(YES, tls=ours.server_context(ours.issue("localhost"))) as server:
        with HttpClient(f"https://localhost:{server.port}", trusting(ours)) as client:
            assert client.get("/").status == 200
        distrusted(server.address, trusting(ours), Fault.NAME)


def test_a_server_that_asks_for_a_certificate_and_gets_none(ours: Authority) -> None:
    """Its words may be overtaken by its hanging up; the failure says in either case what may be missing."""
    with serving(YES, tls=ours.server_context(ours.issue("127.0.0.1"), mutual=True)) as server:
        error = failed(server.address, trusting(ours))
    assert isinstance(error, DistrustError | UnreachableError)
    assert "none is configured" in error.message


def test_a_server_that_does_not_take_our_certificate(ours: Authority, tmp_path: Path) -> None:
    """Over TLS 1.2 a server says so before the first request."""
    theirs = Authority(tmp_path / "theirs")
    context = ours.server_context(ours.issue("127.0.0.1"), mutual=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(YES, tls=context) as server:
        text = distrusted(server.address, trusting(ours, theirs.issue("daemon")), Fault.REFUSED)
    assert "unknown ca" in text


def _encrypted(pair: Pair) -> None:
    key = load_pem_private_key(pair.key.read_bytes(), password=None)
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda pair: pair.chain.unlink(), "No such file"),
        (lambda pair: pair.key.unlink(), "No such file"),
        (lambda pair: pair.key.write_text("nothing"), "hold no certificate with its private key"),
        (lambda pair: pair.chain.write_text("nothing"), "hold no certificate with its private key"),
        (_encrypted, "unencrypted"),
    ],
)
def test_files_of_ours_that_cannot_be_used(ours: Authority, spoil: Callable[[Pair], None], says: str) -> None:
    """The failure names the file; nothing is sent."""
    own = ours.issue("daemon")
    spoil(own)
    with serving(YES, tls=ours.server_context(ours.issue("127.0.0.1"), mutual=True)) as server:
        text = distrusted(server.address, trusting(ours, own), Fault.FILES)
        assert not server.shown
    assert says in text
    assert str(own.key) in text or str(own.chain) in text


def test_a_key_of_another_certificate(ours: Authority) -> None:
    """As after half of a renewal."""
    own, other = ours.issue("daemon"), ours.issue("other")
    mixed = Pair(own.chain, other.key, own.serial)
    with serving(YES, tls=ours.server_context(ours.issue("127.0.0.1"), mutual=True)) as server:
        assert "do not belong together" in distrusted(server.address, trusting(ours, mixed), Fault.FILES)


def test_an_authority_that_cannot_be_used(ours: Authority, tmp_path: Path) -> None:
    """It is never taken for none."""
    with serving(YES, tls=ours.server_context(ours.issue("127.0.0.1"))) as server:
        assert "No such file" in distrusted(server.address, AdminSettings(ca=str(tmp_path / "none")), Fault.FILES)
        (tmp_path / "empty").write_text("")
        assert "no certificates" in distrusted(server.address, AdminSettings(ca=str(tmp_path / "empty")), Fault.FILES)


def test_a_server_without_tls_is_told_apart(ours: Authority) -> None:
    """What it says is no TLS."""

    def plain(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with serving(plain) as server:
        error = failed(server.address.replace("http:", "https:"), trusting(ours))
    assert isinstance(error, BadReplyError)
    assert "does not speak TLS" in error.message


def test_a_call_over_tls_ends_in_time_too(ours: Authority) -> None:
    """A server that sends a byte now and then holds nobody for ever, head or body."""
    context = ours.server_context(ours.issue("127.0.0.1"))
    hasty = trusting(ours, connect_timeout=0.5, read_timeout=0.5)
    for before in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"):
        with serving(dripping(b"x" * 2000, before), tls=context) as server:
            assert isinstance(failed(server.address, hasty), TimedOutError)
