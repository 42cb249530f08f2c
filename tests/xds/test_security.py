"""Who may speak for which proxy, and with which certificates the server speaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from reconciler.errors import UsageError
from reconciler.model.key import Key
from reconciler.settings import AdsSettings
from reconciler.xds import Plane
from reconciler.xds.identity import Identities, IdentityError
from reconciler.xds.server import AdsServer
from tests.certificates import Authority, Pair
from tests.xds.client import Peer, Wire, fences, node_of
from tests.xds.lab import CLUSTER, DELTA, Serving, serving

KEY = Key("shop", "edge")
ID = "spiffe://mesh.example/ns/shop/proxy/edge"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def mutual(authority: Authority) -> AdsSettings:
    pair = authority.issue("localhost", "127.0.0.1", file="server")
    return AdsSettings(certificate=str(pair.chain), key=str(pair.key), client_ca=str(authority.root))


@contextmanager
def calling(served: Serving, root: Path, pair: Pair | None = None, key: Key = KEY) -> Iterator[Peer]:
    chain, secret = (pair.chain.read_bytes(), pair.key.read_bytes()) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(root.read_bytes(), secret, chain)
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"localhost:{served.port}", credentials, options=options) as channel:
        wire = Wire(channel, DELTA)
        peer = Peer(wire, DELTA, node_of(key))
        try:
            yield peer
        finally:
            wire.close()


def is_served(served: Serving, root: Path, pair: Pair | None = None, key: Key = KEY) -> bool:
    """Whether a client gets what was published; if its certificate doesn't speak for it, not."""
    served.plane.publish(key, fences())
    with calling(served, root, pair, key) as peer:
        error = ending(peer)
    assert error is None or error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert error is None or str(key) in error.details()
    return error is None


def shakes_hands(served: Serving, root: Path, pair: Pair | None = None) -> bool:
    """Whether TLS comes about at all."""
    chain, secret = (pair.chain.read_bytes(), pair.key.read_bytes()) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(root.read_bytes(), secret, chain)
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"localhost:{served.port}", credentials, options=options) as channel:
        wire = Wire(channel, DELTA, waits=False)
        peer = Peer(wire, DELTA, node_of(KEY))
        error = ending(peer)
        wire.close()
    assert error is None or error.code() is grpc.StatusCode.UNAVAILABLE
    return error is None


def ending(peer: Peer) -> grpc.RpcError | None:
    """How a stream ends that asks for clusters; None if it is answered."""
    peer.ask(CLUSTER)
    try:
        peer.take(CLUSTER)
    except grpc.RpcError as error:
        return error
    return None


def test_with_tls_alone_anybody_is_served(authority: Authority) -> None:
    """Who trusts the server; without a client authority nobody shows a certificate."""
    pair = authority.issue("localhost", file="server")
    with serving(settings=AdsSettings(certificate=str(pair.chain), key=str(pair.key))) as served:
        assert is_served(served, authority.root)
        assert not shakes_hands(served, Authority(authority.folder / "other").root)


def test_with_mutual_tls_a_proxy_is_who_its_certificate_says(authority: Authority, mutual: AdsSettings) -> None:
    """Its own name is served, another is refused with a reason, and without a certificate of the authority there is no handshake."""
    mine, another = authority.identify(ID, file="edge"), authority.identify(f"{ID}2", file="edge2")
    stranger = Authority(authority.folder / "stranger").identify(ID, file="edge")
    with serving(settings=mutual) as served:
        assert is_served(served, authority.root, mine)
        assert not is_served(served, authority.root, another)
        assert not is_served(served, authority.root, mine, Key("default", "edge"))
        served.plane.publish(KEY, fences())
        assert shakes_hands(served, authority.root, mine)
        assert not shakes_hands(served, authority.root)
        assert not shakes_hands(served, authority.root, stranger)
        assert {said.key for said in served.plane.joined()} == {KEY}


def test_certificates_are_read_again_when_they_are_replaced(authority: Authority, mutual: AdsSettings) -> None:
    """The server's own and the authority of clients, without a restart; what is half replaced, or none, is not taken over."""
    mine = authority.identify(ID, file="edge")
    with serving(settings=mutual) as served:
        assert is_served(served, authority.root, mine)
        key = Path(mutual.key).read_bytes()
        Path(mutual.key).write_text("no key")
        assert is_served(served, authority.root, mine)
        Path(mutual.key).write_bytes(key)
        other = Authority(authority.folder / "other")
        pair = other.issue("localhost", file="server")
        Path(mutual.key).write_bytes(pair.key.read_bytes())
        Path(mutual.certificate).write_bytes(pair.chain.read_bytes())
        Path(mutual.client_ca).write_bytes(other.root.read_bytes())
        theirs = other.identify(ID, file="edge")
        assert is_served(served, other.root, theirs)
        assert not shakes_hands(served, other.root, mine)


@pytest.mark.parametrize(
    ("template", "name", "allowed"),
    [
        ("spiffe://*/ns/{namespace}/proxy/{name}", ID, True),
        ("spiffe://*/ns/{namespace}/proxy/{name}", "spiffe://a/b/ns/shop/proxy/edge", False),
        ("spiffe://*/ns/{namespace}/proxy/{name}", f"{ID}/more", False),
        ("spiffe://*/ns/{namespace}/sa/*", "spiffe://mesh/ns/shop/sa/anything", True),
        ("spiffe://*/ns/{namespace}/sa/*", "spiffe://mesh/ns/other/sa/anything", False),
        ("{name}.{namespace}.proxies.example", "edge.shop.proxies.example", True),
        ("{name}.{namespace}.proxies.example", "edge.shop.proxiesXexample", False),
        ("{name}.{namespace}.proxies.example", "other.shop.proxies.example", False),
    ],
)
def test_names_in_certificates_are_held_against_templates(template: str, name: str, allowed: bool) -> None:  # noqa: FBT001
    """A star stands for any part without a slash, everything else for itself."""
    identities = Identities([template])
    if allowed:
        identities.check(KEY, ["another", name])
        return
    with pytest.raises(IdentityError, match="does not speak for the proxy shop/edge"):
        identities.check(KEY, ["another", name])


@pytest.mark.parametrize("template", ["spiffe://mesh/all", "{name}.{name}", "{namespace}/{namespace}"])
def test_templates_that_name_nobody_are_errors(template: str, mutual: AdsSettings) -> None:
    """Or that name the same twice."""
    with pytest.raises(UsageError, match="identity"):
        AdsServer(
            Plane(), AdsSettings(certificate=mutual.certificate, key=mutual.key, client_ca=mutual.client_ca, identities=(template,))
        )  # fmt: skip


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0", "unix:/run/x.sock", "127.0.0.2:0"])
def test_plaintext_is_spoken_with_this_machine(address: str) -> None:
    """Loopback and sockets need no certificates."""
    AdsServer(Plane(), AdsSettings(address=address))


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":18000", "10.0.0.1:18000", "example.com:18000"])
def test_plaintext_with_others_is_only_spoken_when_asked_for(address: str) -> None:
    """Whoever can reach it would get all certificates' keys and could speak for any proxy."""
    with pytest.raises(UsageError, match="plaintext"):
        AdsServer(Plane(), AdsSettings(address=address))
    AdsServer(Plane(), AdsSettings(address=address, plaintext=True))


def test_certificates_that_are_none_are_errors_at_the_start(authority: Authority, mutual: AdsSettings) -> None:
    """Missing files, one without the other, a key of another certificate, something that isn't PEM: each says which file."""
    other = authority.issue("other.example")
    garbage = authority.folder / "garbage.pem"
    garbage.write_text("garbage")
    good, key, ca = mutual.certificate, mutual.key, mutual.client_ca
    cases: list[tuple[AdsSettings, str]] = [
        (AdsSettings(client_ca=ca), "without one of our own"),
        (AdsSettings(certificate=good), "needs its key"),
        (AdsSettings(key=key), "needs its key"),
        (AdsSettings(certificate=f"{good}.missing", key=key), "can't read .*missing"),
        (AdsSettings(certificate=good, key=str(authority.folder)), "can't read"),
        (AdsSettings(certificate=good, key=str(other.key)), "no certificate with its key"),
        (AdsSettings(certificate=str(garbage), key=key), "no certificate with its key"),
        (AdsSettings(certificate=good, key=key, client_ca=str(garbage)), "garbage.pem holds no certificates"),
        (AdsSettings(certificate=good, key=key, client_ca="missing"), "can't read missing"),
    ]
    for settings, words in cases:
        with pytest.raises(UsageError, match=words):
            AdsServer(Plane(), settings)
