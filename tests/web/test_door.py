from __future__ import annotations

import asyncio
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from reconciler.clock import SystemClock
from reconciler.errors import UsageError
from reconciler.web import Door, Offer, Rate, Role, ServerCertificate, TokenFile, add_token, mint, revoke_token
from reconciler.web.access.limits import is_here
from reconciler.web.app import application
from reconciler.web.guard import Application
from reconciler.web.hosts import is_ours
from tests.certificates import Authority
from tests.web.doors import START, House, house
from tests.web.world import LOGGER, PATIENCE, World

PASS = {"ref": "main"}
WRONG = "x"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house"), rate=Rate(burst=1e6, per_second=1e6)) as made:
        yield made


def signed_in(served: House, *roles: Role) -> tuple[dict[str, str], str]:
    """The cookie of a new session as headers, and its csrf."""
    reply = served.ask("POST", "/v1/session", body={"token": served.token(*roles)})
    assert reply.status == 200
    return {"cookie": reply.headers["set-cookie"].partition(";")[0]}, reply.json["csrf"]


def test_what_a_token_may_is_what_its_roles_say(served: House) -> None:
    """Reading and operating are two roles; who has neither, or no token, is told what is missing."""
    reader, operator = served.token(Role.READ), served.token(Role.OPERATE)
    assert served.ask("GET", "/v1/status", token=reader).status == 200
    assert served.ask("GET", "/v1/status", token=operator).code == "http-forbidden"
    assert served.ask("POST", "/v1/passes", token=reader, body=PASS).status == 403
    assert served.ask("POST", "/v1/passes", token=operator, body=PASS).json["exit_code"] == 2
    assert served.ask("GET", "/healthz").status == served.ask("GET", "/readyz").status == 200, "health asks nobody"


@pytest.mark.parametrize("text", ["", "x", "rec_00_" + "a" * 43, "rec_%s_" + "a" * 43, "{good}x", "{good} {good}"])
def test_a_token_that_is_none_lets_nobody_in(served: House, text: str) -> None:
    """Not even to what anybody else might read: who claims something has to prove it."""
    good = served.token(Role.READ)
    sent = text.replace("{good}", good).replace("%s", good.split("_")[1])
    reply = served.ask("GET", "/v1/status", Authorization=f"Bearer {sent}")
    assert (reply.status, reply.code) == (401, "http-unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert good not in reply.body.decode()
    assert served.ask("GET", "/v1/status", Authorization=f"Basic {good}").status == 401


def test_without_a_token_nobody_reads(served: House) -> None:
    """Where there is a file of tokens, reading takes one too."""
    assert served.ask("GET", "/v1/status").code == "http-unauthorized"
    assert served.ask("GET", "/v1/status", cookie="reconcile-1=x").status == 401


def test_a_token_ends(served: House) -> None:
    """By its date, and at once when it is revoked; its sessions end with it."""
    dated = served.token(Role.READ, expires=served.clock.now() + timedelta(minutes=1))
    cookie = served.ask("POST", "/v1/session", body={"token": dated}).headers["set-cookie"].partition(";")[0]
    assert served.ask("GET", "/v1/status", token=dated).status == 200
    assert served.ask("GET", "/v1/status", cookie=cookie).status == 200
    served.clock.since += timedelta(minutes=1)
    assert served.ask("GET", "/v1/status", token=dated).status == 401
    assert served.ask("GET", "/v1/status", cookie=cookie).status == 401
    endless = served.token(Role.READ)
    cookie = served.ask("POST", "/v1/session", body={"token": endless}).headers["set-cookie"].partition(";")[0]
    assert served.ask("GET", "/v1/status", cookie=cookie).status == 200
    revoke_token(served.file, endless.split("_")[1])
    assert served.ask("GET", "/v1/status", token=endless).status == 401
    assert served.ask("GET", "/v1/status", cookie=cookie).status == 401


def test_a_session_says_who_it_is_and_ends(served: House) -> None:
    """The cookie is for this host, out of reach of scripts and of other sites; after signing out it is worth nothing."""
    token = served.token(Role.READ, Role.OPERATE)
    reply = served.ask("POST", "/v1/session", body={"token": f" {token}\n"})
    name, _, rest = reply.headers["set-cookie"].partition("=")
    assert name == f"reconcile-{served.address.rpartition(':')[2]}", "two daemons of one host have their own"
    assert {part.strip() for part in rest.split(";")[1:]} == {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict"}
    assert token not in str(reply.headers) + reply.body.decode()
    cookie = reply.headers["set-cookie"].partition(";")[0]
    said = served.ask("GET", "/v1/session", cookie=cookie).json
    assert said == reply.json
    assert (said["name"], said["roles"], said["token"]) == ("Ada L", ["operate", "read"], token.split("_")[1])
    assert served.ask("GET", "/v1/session").json | {"schema_version": 1} == {
        "schema_version": 1, "name": "", "email": "", "roles": [], "token": "", "csrf": "", "tokens": True, "expires": None,
    }  # fmt: skip
    gone = served.ask("DELETE", "/v1/session", cookie=cookie, x_reconcile_csrf=said["csrf"])
    assert gone.status == 204
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert served.ask("GET", "/v1/status", cookie=cookie).status == 401
    assert served.ask("DELETE", "/v1/session").status == 204, "who is not there can leave"


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": 5}, {"token": "x" * 300}, {"token": "x", "more": 1}, []])
def test_signing_in_takes_one_token(served: House, body: Any) -> None:
    """Anything else is not understood, and a token that is none opens nothing."""
    assert served.ask("POST", "/v1/session", body=body).code == "http-request"
    assert served.ask("POST", "/v1/session", body={"token": "x"}).status == 401


def test_a_session_changes_things_only_from_our_page(served: House) -> None:
    """Each of the three signs that another site asks is enough to refuse; reading needs none, and bearers none at all."""
    cookie, csrf = signed_in(served, Role.OPERATE, Role.READ)
    own = f"http://{served.address}"
    headers: list[tuple[dict[str, str], int]] = [
        ({}, 403),
        ({"x_reconcile_csrf": ""}, 403),
        ({"x_reconcile_csrf": csrf[:-1]}, 403),
        ({"x_reconcile_csrf": csrf}, 200),
        ({"x_reconcile_csrf": csrf, "origin": own, "sec_fetch_site": "same-origin"}, 200),
        ({"x_reconcile_csrf": csrf, "origin": "http://127.0.0.1:1"}, 403),
        ({"x_reconcile_csrf": csrf, "origin": "null"}, 403),
        ({"x_reconcile_csrf": csrf, "origin": "http://evil.test"}, 403),
        ({"x_reconcile_csrf": csrf, "sec_fetch_site": "cross-site"}, 403),
        ({"x_reconcile_csrf": csrf, "sec_fetch_site": "same-site"}, 403),
        ({"x_reconcile_csrf": signed_in(served, Role.OPERATE)[1]}, 403),
    ]
    for more, status in headers:
        reply = served.ask("POST", "/v1/passes", body=PASS, **cookie, **more)
        assert reply.status == status, more
        assert status == 200 or reply.code == "http-csrf"
    assert served.ask("GET", "/v1/status", **cookie).status == 200
    assert served.ask("DELETE", "/v1/session", **cookie).code == "http-csrf"
    foreign = {"origin": "http://evil.test"}
    assert served.ask("POST", "/v1/session", body={"token": served.token(Role.READ)}, **foreign).code == "http-csrf"
    assert served.ask("OPTIONS", "/v1/passes", **foreign, access_control_request_method="POST").status == 405


def test_who_asks_too_often_waits(tmp_path: Path) -> None:
    """A token by its own bucket; who has none by their address, where a wrong token costs more. One locks nobody else out."""
    with house(tmp_path, rate=Rate(burst=40, per_second=4)) as served:
        token = served.token(Role.READ)
        wrong = [served.ask("GET", "/v1/status", token="rec_a_" + "b" * 43) for _ in range(3)]
        assert [reply.status for reply in wrong] == [401, 401, 429]
        assert wrong[-1].code == "http-rate"
        assert wrong[-1].headers["retry-after"] == "5"
        assert served.ask("GET", "/v1/session").status == 429
        assert served.ask("GET", "/healthz").status == 200
        assert [served.ask("GET", "/v1/status", token=token).status for _ in range(41)] == [200] * 40 + [429]
        other = served.token(Role.READ)
        assert served.ask("GET", "/v1/status", token=other).status == 200
        served.clock.since += timedelta(seconds=5)
        assert served.ask("GET", "/v1/status", token=WRONG).status == 401
        assert served.ask("POST", "/v1/session", body={"token": token}).status == 200


def test_one_request_counts_once(tmp_path: Path) -> None:
    """However many roles a route asks for."""
    with house(tmp_path, rate=Rate(burst=2, per_second=1)) as served:
        token = served.token(Role.READ)
        assert [served.ask("GET", "/v1/status", token=token).status for _ in range(3)] == [200, 200, 429]


def test_a_file_that_breaks_lets_nobody_in_and_says_so(tmp_path: Path) -> None:
    """503 and not 401: nothing is wrong with the token."""
    with house(tmp_path) as served:
        token = served.token(Role.READ)
        served.file.write_text("{")
        reply = served.ask("GET", "/v1/status", token=token)
        assert (reply.status, reply.code) == (503, "tokens-file")
        assert served.ask("GET", "/v1/status").status == 401


def test_without_a_file_anybody_reads_and_nobody_does_more(tmp_path: Path) -> None:
    """A token is still an error: its sender believes to be somebody."""
    with house(tmp_path, tokens=False) as served:
        assert served.ask("GET", "/v1/status").status == 200
        assert served.ask("GET", "/v1/session").json["roles"] == ["read"]
        assert served.ask("POST", "/v1/passes", body=PASS).code == "http-forbidden"
        assert served.ask("GET", "/v1/status", token=WRONG).code == "http-unauthorized"
        assert served.ask("POST", "/v1/session", body={"token": "x"}).status == 401


def test_anybody_may_read_where_that_is_asked_for(tmp_path: Path) -> None:
    """And a token does what it may."""
    with house(tmp_path, anonymous=True) as served:
        assert served.ask("GET", "/v1/status").status == 200
        assert served.ask("POST", "/v1/passes", body=PASS).status == 403
        assert served.ask("POST", "/v1/passes", token=served.token(Role.OPERATE), body=PASS).status == 200


@pytest.mark.parametrize(
    ("plaintext", "scheme", "wanted"), [(False, "http", 403), (True, "http", 200), (False, "https", 200)]
)
def test_tokens_from_other_hosts_need_tls(*, tmp_path: Path, plaintext: bool, scheme: str, wanted: int) -> None:
    """A token in plain text may have been read by others; a peer on this machine, also through a mapped address, is no other host."""
    shown, token = mint(name="Ada", email="a@x.test", roles=[Role.READ], created=START)
    add_token(tmp_path / "tokens", token)
    door = Door(SystemClock(), tokens=TokenFile(tmp_path / "tokens"), plaintext=plaintext)
    app = application(Offer(knowledge=World(), access=door), logger=LOGGER)
    headers = [(b"host", b"x"), (b"authorization", f"Bearer {shown}".encode())]
    for peer, status in (("192.0.2.7", wanted), ("127.0.0.1", 200), ("::ffff:127.0.0.1", 200), ("::1", 200)):
        said = _direct(app, headers=headers, client=(peer, 1), scheme=scheme)
        assert said["status"] == status, peer
    assert not is_here("")


def _direct(app: Application, **more: Any) -> dict[str, Any]:
    """One GET of /v1/status from a peer that no socket of this machine could be."""
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/v1/status", "raw_path": b"/v1/status", "query_string": b"",
        "root_path": "", "server": ("192.0.2.1", 80), "asgi": {"version": "3.0"}, **more,
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def serve() -> None:
        await app(scope, receive, send)

    asyncio.run(serve())
    return dict(sent[0])


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8080", True), ("[::1]:8080", True), ("[::1]", True), ("localhost", True), ("LOCALHOST:1", True), ("localhost.:1", True),
        ("a.localhost:5", True), ("192.0.2.1", True), ("mesh.example.com:443", True), ("MESH.example.com", True),
        ("evil.test", False), ("evil.test:8080", False), ("127.0.0.1.evil.test", False), ("localhost.evil.test", False), ("", False),
        ("127.0.0.1@evil.test", False), ("evil.test#127.0.0.1", False), ("mesh.example.com.evil.test", False), ("[::1]evil:80", False),
    ],
)  # fmt: skip
def test_a_server_answers_to_its_names(host: str, ours: bool) -> None:  # noqa: FBT001 -- a table
    """An address can't be made to point at us, and a name can: a page under such a name must not read what we show."""
    assert is_ours(host, {"mesh.example.com"}) is ours


def test_a_page_of_another_name_reads_nothing(tmp_path: Path) -> None:
    """DNS rebinding: the request reaches us, names its page's host, and gets an error."""
    with house(tmp_path, tokens=False, names=["mesh.example.com"]) as served:
        assert served.ask("GET", "/v1/status", Host="mesh.example.com").status == 200
        reply = served.ask("GET", "/v1/status", Host="evil.test")
        assert (reply.status, reply.code) == (421, "http-host")
        assert "--http-names" in reply.json["errors"][0]["hint"]
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/v1/webhooks/x", 404), ("/v1/policies", 421)):
            assert served.ask("GET", path, Host="evil.test").status == status, "what shows nothing is asked by any name"


def test_https_shows_the_newest_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that is renewed is shown from the next connection on; one that does not fit its key changes nothing."""
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("127.0.0.1", file="server")
    shown = ServerCertificate(pair.chain, pair.key, logger=LOGGER)
    trusted = ssl.create_default_context(cafile=str(authority.root))
    with house(tmp_path, tls=shown.context, trusted=trusted) as served:
        assert _serial(served, trusted) == pair.serial
        reply = served.ask("POST", "/v1/session", body={"token": served.token(Role.READ)})
        assert reply.headers["set-cookie"].startswith("__Host-reconcile-")
        assert "Secure" in reply.headers["set-cookie"]
        pair.key.write_text("nothing")
        assert _serial(served, trusted) == pair.serial
        assert "the certificate stays" in caplog.text
        renewed = authority.issue("127.0.0.1", file="server")
        assert _serial(served, trusted) == renewed.serial != pair.serial
        host, _, port = served.address.rpartition(":")
        with pytest.raises(ssl.SSLCertVerificationError), socket.create_connection((host, int(port))) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        with pytest.raises((OSError, http.client.HTTPException)):
            House(served.address, served.file, served.clock).ask("GET", "/healthz")
        assert served.ask("GET", "/healthz").status == 200, "who speaks plain text costs their own connection"


def test_a_certificate_that_fits_only_later_is_shown_then(tmp_path: Path) -> None:
    """Whoever copies it with its date, or lets us read it last, leaves content, size and date as they were when it did not fit."""
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("127.0.0.1", file="server")
    renewed = authority.issue("127.0.0.1", file="renewed")
    key = renewed.key.read_bytes()
    shown = ServerCertificate(pair.chain, pair.key, logger=LOGGER)
    trusted = ssl.create_default_context(cafile=str(authority.root))
    with house(tmp_path, tls=shown.context, trusted=trusted) as served:
        pair.chain.write_bytes(renewed.chain.read_bytes())
        for content, serial in ((b"x" * len(key), pair.serial), (key, renewed.serial)):
            pair.key.write_bytes(content)
            os.utime(pair.key, ns=(10**18, 10**18))
            assert _serial(served, trusted) == serial


def test_a_certificate_that_cannot_be_used_is_an_error_at_the_start(tmp_path: Path) -> None:
    """Before anything is served."""
    with pytest.raises(UsageError, match="can't be used for HTTPS"):
        ServerCertificate(tmp_path / "no.pem", tmp_path / "no.key", logger=LOGGER)


def _serial(served: House, trusted: ssl.SSLContext) -> int:
    host, _, port = served.address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE) as plain,
        trusted.wrap_socket(plain, server_hostname=host) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number
