"""Who asks the API server, and what it is asked with."""

from __future__ import annotations

import base64
import json
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.discovery.conformance import Watched, watching
from reconciler.discovery.contract import Adapter, AdapterError
from reconciler.discovery.platforms.kubernetes import ExtraError, KubernetesAdapter, build
from reconciler.model.discovery import Kubernetes
from tests.certificates import Authority
from tests.kubernetes.objects import service
from tests.kubernetes.platform import AROUND, QUICK, TOKEN, adapter, kubeconfig
from tests.kubernetes.server import ApiServer
from tests.kubernetes.store import Store

HOST = "reviews.default.svc.cluster.local"


def server_context(authority: Authority, *, clients: bool = False) -> ssl.SSLContext:
    pair = authority.issue("127.0.0.1", file="server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.chain, pair.key)
    if clients:
        context.load_verify_locations(authority.root)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def plain() -> Iterator[ApiServer]:
    store = Store()
    store.put(service())
    server = ApiServer(store)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[ApiServer]:
    """HTTPS, with a certificate of the client."""
    store = Store()
    store.put(service())
    server = ApiServer(store, tls=server_context(authority, clients=True))
    yield server
    server.stop()


def works(made: Adapter) -> None:
    with watching(made) as watched:
        watched.until(lambda state: HOST in state, within=10, what="service")


def error(watched: Watched) -> AdapterError:
    watched.wait(lambda it: it.error is not None, within=10, what="error")
    assert isinstance(watched.error, AdapterError)
    assert watched.error.diagnostics[0].hint
    return watched.error


@pytest.fixture(autouse=True)
def _tokens(plain: ApiServer) -> None:
    plain.tokens = {TOKEN}


def test_certificates(authority: Authority, secure: ApiServer, tmp_path: Path) -> None:
    """Server and client show certificates, from files or from the kubeconfig itself; it ends while it waits over TLS too."""
    own = authority.issue("reconcile", file="client")
    files = {"client-certificate": str(own.chain), "client-key": str(own.key)}
    works(adapter(kubeconfig(tmp_path, secure.url, files, **{"certificate-authority": str(authority.root)})))
    data = {
        "client-certificate-data": base64.b64encode(own.chain.read_bytes()).decode(),
        "client-key-data": base64.b64encode(own.key.read_bytes()).decode(),
    }
    root = {"certificate-authority-data": base64.b64encode(authority.root.read_bytes()).decode()}
    works(adapter(kubeconfig(tmp_path, secure.url, data, **root)))


def test_distrust(authority: Authority, secure: ApiServer, tmp_path: Path) -> None:
    """A server that somebody else has signed is not believed."""
    other = Authority(tmp_path / "other")
    own = authority.issue("reconcile", file="client")
    files = {"client-certificate": str(own.chain), "client-key": str(own.key)}
    path = kubeconfig(tmp_path, secure.url, files, **{"certificate-authority": str(other.root)})
    with watching(adapter(path)) as watched:
        assert "certificate is not trusted" in error(watched).message


def test_it_ends_in_a_handshake(plain: ApiServer, tmp_path: Path, authority: Authority) -> None:
    """A server that accepts connections and begins no handshake holds nobody up who is told to end."""
    path = kubeconfig(
        tmp_path, plain.url.replace("http:", "https:"), None, **{"certificate-authority": str(authority.root)}
    )
    plain.silent = True
    try:
        with watching(adapter(path)) as watched:
            pass
        assert watched.error is None
    finally:
        plain.silent = False


def test_exec_plugin(plain: ApiServer, tmp_path: Path) -> None:
    """A program that the kubeconfig names brings the token; when the server does not take it any more, it is asked again."""
    credential = tmp_path / "credential"
    credential.write_text(TOKEN)
    program = tmp_path / "login"
    program.write_text(
        f"#!{sys.executable}\nimport json\n"
        f"print(json.dumps({{'kind': 'ExecCredential', 'apiVersion': 'client.authentication.k8s.io/v1',"
        f" 'status': {{'token': open({str(credential)!r}).read()}}}}))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(program),
            "interactiveMode": "Never",
        }
    }
    with watching(adapter(kubeconfig(tmp_path, plain.url, user))) as watched:
        watched.until(lambda state: HOST in state, within=10, what="service")
        credential.write_text("newer")
        plain.tokens = {"newer"}
        plain.drop()
        before = plain.watches("services")
        watched.wait(lambda _: plain.watches("services") > before, within=10, what="watch with the newer token")
        assert watched.error is None


def test_context(plain: ApiServer, tmp_path: Path) -> None:
    """The context that is named counts, and the file's current one by default."""
    path = kubeconfig(tmp_path, plain.url)
    document = json.loads(path.read_text())
    document["contexts"].append({"name": "other", "context": {"cluster": "other", "user": "test"}})
    document["clusters"].append({"name": "other", "cluster": {"server": "http://127.0.0.1:1"}})
    path.write_text(json.dumps(document))
    works(adapter(path))
    works(adapter(path, context="test"))
    with watching(adapter(path, context="other")) as watched:
        assert "http://127.0.0.1:1 can't be read: Connection refused" in error(watched).message
    with watching(adapter(path, context="none")) as watched:
        failed = error(watched)
        assert (failed.code, "none" in failed.message) == ("discovery-kubeconfig", True)


def test_environment(plain: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path, KUBECONFIG counts."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, plain.url)))
    works(KubernetesAdapter(Kubernetes(), AROUND, patience=QUICK))


def test_in_cluster(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pod its own account counts: the token and the authority that Kubernetes mounts."""
    store = Store()
    store.put(service())
    server = ApiServer(store, tls=server_context(authority))
    server.tokens = {TOKEN}
    token = tmp_path / "token"
    token.write_text(TOKEN)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    from kubernetes.config import incluster_config

    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority.root))
    try:
        works(KubernetesAdapter(Kubernetes(), AROUND, patience=QUICK))
        token.unlink()
        with watching(KubernetesAdapter(Kubernetes(), AROUND, patience=QUICK)) as watched:
            assert "the pod's own account can't be used" in error(watched).message
    finally:
        server.stop()


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "[a, b]", "a: &a [*a]", "clusters: 7", "\x00", '{"current-context": "x"}']
)
def test_unusable_kubeconfig(text: str | None, tmp_path: Path) -> None:
    """A kubeconfig that is missing or makes no sense is an error that names it."""
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with watching(adapter(path)) as watched:
        failed = error(watched)
        assert (failed.code, str(path) in failed.message) == ("discovery-kubeconfig", True)


@pytest.mark.parametrize("user", [{"tokenFile": "/nowhere/token"}, {"client-certificate": "/nowhere/cert"}])
def test_missing_credentials(user: dict[str, str], tmp_path: Path) -> None:
    """A file that the kubeconfig names and that is not there is an error too."""
    with watching(adapter(kubeconfig(tmp_path, "https://127.0.0.1:1", user))) as watched:
        assert error(watched).code == "discovery-kubeconfig"


def test_a_token_s_file_ends_with_a_line_s_end(plain: ApiServer, tmp_path: Path) -> None:
    """As every editor writes it; one that can't be sent is an error that does not show it."""
    token = tmp_path / "token"
    made = adapter(kubeconfig(tmp_path, plain.url, {"tokenFile": str(token)}))
    token.write_text(f"{TOKEN}\n")
    works(made)
    token.write_text(f"{TOKEN}\nsecond\n")
    with watching(adapter(tmp_path / "kubeconfig")) as watched:
        failed = error(watched)
    assert failed.code == "discovery-kubeconfig"
    assert TOKEN not in f"{failed.message} {failed.diagnostics[0].hint}"


def test_mended_kubeconfig(plain: ApiServer, tmp_path: Path) -> None:
    """The file is read at each watch: what is mended works without a new adapter."""
    made = adapter(tmp_path / "kubeconfig")
    with watching(made) as watched:
        assert error(watched).code == "discovery-kubeconfig"
    kubeconfig(tmp_path, plain.url)
    works(made)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the official client there is no adapter, and the error says what to install."""
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(ExtraError, match="kubernetes") as caught:
        build(Kubernetes(), AROUND)
    assert "envoy-reconciler[kubernetes]" in caught.value.diagnostics[0].hint
