"""Certificates reach a real Envoy as files that a push only names: added, served, rotated, missing, removed."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model import protos
from reconciler.model.files import SUFFIX, file_name
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.secrets import Certificate, Root, secret_resource
from reconciler.push.credentials import SecretFileError, demand, reason
from reconciler.push.disk import Disk
from reconciler.push.files import FilesWay
from reconciler.push.watches import Watches, instances
from reconciler.push.ways import Target
from tests.certificates import Authority, serial_of
from tests.envoy.live import until
from tests.push.conftest import Ports
from tests.push.lab import Lab, apply, made, pushed

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
ANSWER = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "hello"}}}
ROUTES = {"name": "inline", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [ANSWER]}]}


@dataclass(frozen=True)
class Site:
    """A port of one Envoy that is to be served with TLS, and who trusts it."""

    lab: Lab
    port: int
    authority: Authority

    def sds(self, item: Certificate | Root) -> dict[str, Any]:
        source = self.lab.shelf.source(ResourceType.SECRET, item.name) | {"initial_fetch_timeout": "0s"}
        return {"name": item.name, "sds_config": source}

    def serving(self, certificate: Certificate, roots: Root | None = None) -> list[Resource]:
        """A listener with its secrets; clients must show a certificate if there are roots."""
        common: dict[str, Any] = {"tls_certificate_sds_secret_configs": [self.sds(certificate)]}
        if roots:
            common["validation_context_sds_secret_config"] = self.sds(roots)
        config: dict[str, Any] = {"@type": f"{TLS}DownstreamTlsContext", "common_tls_context": common}
        config |= {"require_client_certificate": True} if roots else {}
        value = protos.to_dict(protos.decode(self.lab.shelf.listener("tls", self.port, ROUTES)))
        value["filter_chains"][0]["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": config}
        listener = made(ResourceType.LISTENER, **value)
        return [listener, *(secret_resource(item) for item in (certificate, roots) if item is not None)]

    def calling(self, name: str, certificate: Certificate, roots: Root) -> list[Resource]:
        """A cluster that shows one certificate and trusts one authority."""
        common = {
            "tls_certificate_sds_secret_configs": [self.sds(certificate)],
            "validation_context_sds_secret_config": self.sds(roots),
        }
        config = {"@type": f"{TLS}UpstreamTlsContext", "common_tls_context": common}
        transport = {"name": "envoy.transport_sockets.tls", "typed_config": config}
        cluster = made(ResourceType.CLUSTER, name=name, type="STATIC", connect_timeout="1s", transport_socket=transport)
        return [cluster, secret_resource(certificate), secret_resource(roots)]

    def served(self, client: ssl.SSLContext | None = None) -> int:
        """The serial number of the certificate that is served now, to a client that gets an answer with it."""
        context = client or self.authority.client_context()
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="a.example") as secure,
        ):
            secure.sendall(b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: secure.recv(4096), b""))
            assert answer.endswith(b"hello")
            return serial_of(secure.getpeercert(binary_form=True) or b"")


@pytest.fixture
def site(lab: Lab, make_port: Ports, tmp_path: Path) -> Site:
    return Site(lab, make_port(), Authority(tmp_path / "certs"))


def certificate(site: Site, name: str = "a.example") -> tuple[Certificate, int]:
    pair = site.authority.issue(name)
    return Certificate(str(pair.chain), str(pair.key)), pair.serial


def test_a_listener_with_a_certificate_is_served(site: Site) -> None:
    """One push brings the secret and who refers to it, and proves both; no key is in any file of ours."""
    mine, serial = certificate(site)
    outcome = apply(site.lab, site.serving(mine))
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
    assert site.served() == serial
    written = site.lab.bytes_on_disk()
    assert written == site.lab.rendered(site.serving(mine))
    assert len([path for path in written if "/secrets/" in path]) == 1
    assert not any(b"PRIVATE KEY" in body for body in written.values())
    assert apply(site.lab, site.serving(mine)).pushed is False


def test_a_renewed_certificate_is_served_without_a_push(site: Site) -> None:
    """Files that are moved into their place are read again at once; what is live is still what was pushed."""
    mine, first = certificate(site)
    assert apply(site.lab, site.serving(mine)).proof is Proof.EXACT
    before, version = site.lab.bytes_on_disk(), site.lab.observe().version
    _, second = certificate(site)
    until(lambda: site.served() == second)
    assert first != second
    assert site.lab.bytes_on_disk() == before
    assert site.lab.observe().version == version


def test_a_folder_that_is_swapped_by_its_link_is_read_again(site: Site) -> None:
    """Kubernetes' way: the files are links through `..data`, and only that is replaced."""
    pair = site.authority.issue("a.example")
    volume = site.authority.folder / "volume"
    volume.mkdir()

    def filled(name: str) -> Path:
        folder = volume / name
        folder.mkdir()
        (folder / "tls.crt").write_bytes(pair.chain.read_bytes())
        (folder / "tls.key").write_bytes(pair.key.read_bytes())
        return folder

    (volume / "..data").symlink_to(filled("..first").name)
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    assert (
        apply(site.lab, site.serving(Certificate(str(volume / "tls.crt"), str(volume / "tls.key")))).proof
        is Proof.EXACT
    )
    pair = site.authority.issue("a.example")
    (volume / "..new").symlink_to(filled("..second").name)
    (volume / "..new").rename(volume / "..data")
    until(lambda: site.served() == pair.serial)


def test_clients_are_asked_for_certificates(site: Site) -> None:
    """Mutual TLS: the authority comes from a file too, and so does what it revoked."""
    mine, serial = certificate(site)
    good, bad = site.authority.issue("good.example"), site.authority.issue("bad.example")
    roots = Root(str(site.authority.root), str(site.authority.revoke([bad])))
    assert apply(site.lab, site.serving(mine, roots)).proof is Proof.EXACT
    assert site.served(site.authority.client_context(good)) == serial
    for stranger in (None, site.authority.client_context(bad)):
        with pytest.raises((OSError, AssertionError)):
            site.served(stranger)


@pytest.mark.parametrize("absent", ["chain", "key", "root", "crl"])
def test_a_missing_file_is_named_and_nothing_is_sent(site: Site, absent: str) -> None:
    """An Envoy would take the listener all the same and break off every handshake, the working ones too."""
    mine, serial = certificate(site)
    assert apply(site.lab, site.serving(mine)).proof is Proof.EXACT
    before = site.lab.bytes_on_disk()
    other = site.authority.issue("other.example")
    paths = {"chain": other.chain, "key": other.key, "root": site.authority.folder / "copy.pem"}
    paths["root"].write_bytes(site.authority.root.read_bytes())
    paths["crl"] = site.authority.revoke([])
    paths[absent].unlink()
    new, roots = Certificate(str(other.chain), str(other.key)), Root(str(paths["root"]), str(paths["crl"]))
    outcome = apply(site.lab, site.serving(new, roots))
    assert (outcome.kind, outcome.pushed) == (OutcomeKind.FAILED, False)
    assert (
        f"secret {(new if absent in {'chain', 'key'} else roots).name}: {paths[absent]} does not exist"
        in outcome.detail
    )
    assert "push-secret" in outcome.detail
    assert site.lab.bytes_on_disk() == before
    assert site.served() == serial


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    """Nobody mends one file to hear of the next; a folder that isn't there is as good a reason."""
    lost, root = Certificate(f"{tmp_path}/a", f"{tmp_path}/no/b"), Root(f"{tmp_path}/c")
    with pytest.raises(SecretFileError) as caught:
        demand([root.name, lost.name])
    assert f"secret {lost.name}: {tmp_path}/a and {tmp_path}/no/b do not exist" in caught.value.message
    assert f"secret {root.name}: {tmp_path}/c does not exist" in caught.value.message


def test_what_cannot_be_looked_at_is_left_to_envoy(tmp_path: Path) -> None:
    """Keys are often in folders that only Envoy may enter; any failure to look but absence is like that (here: a loop)."""
    (tmp_path / "loop").symlink_to("loop")
    hidden = Certificate(f"{tmp_path}/loop/a", f"{tmp_path}/loop/b")
    demand([hidden.name])
    assert f"can't use {hidden.chain}, {hidden.key}" in reason([hidden.name])


@pytest.mark.parametrize("fault", ["garbage", "mismatch"])
@pytest.mark.parametrize("serving", [True, False])
def test_a_certificate_that_does_not_work_is_taken_back(site: Site, fault: str, *, serving: bool) -> None:
    """Refused by name and file, in ADD or in REPOINT; what served serves again."""
    mine, serial = certificate(site)
    first = site.serving(mine) if serving else []
    apply(site.lab, first)
    pair = site.authority.issue("other.example")
    bad = Certificate(str(pair.chain), mine.key if fault == "mismatch" else str(pair.key))
    if fault == "garbage":
        pair.chain.write_text("no certificate")
    outcome = apply(site.lab, site.serving(bad))
    assert outcome.kind is OutcomeKind.REJECTED
    assert f"secret {bad.name}" in outcome.detail
    assert f"can't use {bad.chain}, {bad.key}" in outcome.detail
    assert site.lab.observe().version == site.lab.view(first).version
    if serving:
        until(lambda: site.served() == serial)
    good, serial = certificate(site, "a.example")
    assert apply(site.lab, site.serving(good)).proof is Proof.EXACT
    until(lambda: site.served() == serial)


def test_a_certificate_lost_across_a_restart_is_missed(site: Site) -> None:
    """An Envoy that starts without a file serves no handshake. Until it is back, a push says which, and brings all else."""
    mine, _ = certificate(site)
    resources = site.serving(mine)
    assert apply(site.lab, resources).proof is Proof.EXACT
    Path(mine.chain).unlink()
    assert apply(site.lab, resources).proof is Proof.EXACT  # it serves what it read
    site.lab.process.kill()
    site.lab.process.start()
    for more in ([], [site.lab.shelf.cluster("c"), site.lab.shelf.endpoints("c", 1)]):
        outcome = apply(site.lab, [*resources, *more])
        assert outcome.kind is OutcomeKind.FAILED
        assert f"secret {mine.name}: {mine.chain} does not exist" in outcome.detail
        assert set(site.lab.observe().resources) == {item.id for item in [resources[0], *more]}
    _, serial = certificate(site)
    assert apply(site.lab, resources).proof is Proof.EXACT
    assert site.served() == serial


@pytest.mark.parametrize("fault", ["garbage", "mismatch"])
def test_a_certificate_that_was_useless_at_a_restart_is_not_taken_for_live(site: Site, fault: str) -> None:
    """Envoy shows the version of a secret that it is sent twice, though it could never use it.

    One that is put right in its place, which Envoy does not notice by itself, is live after the next push.
    """
    mine, serial = certificate(site)
    spare = site.authority.issue("a.example", file="spare")
    resources = site.serving(mine)
    assert apply(site.lab, resources).proof is Proof.EXACT
    right = Path(mine.chain).read_bytes()
    wrong = spare.chain.read_bytes() if fault == "mismatch" else b"no certificate"
    site.lab.process.kill()
    Path(mine.chain).write_bytes(wrong)
    site.lab.process.start()
    more = [site.lab.shelf.cluster("c"), site.lab.shelf.endpoints("c", 1)]
    for _ in range(2):
        outcome = apply(site.lab, [*resources, *more])
        assert outcome.kind is OutcomeKind.LATE
        assert f"secret {mine.name} is not in force: it can't use {mine.chain}" in outcome.detail
        assert set(site.lab.observe().resources) == {item.id for item in [resources[0], *more]}
    Path(mine.chain).write_bytes(right)
    assert apply(site.lab, [*resources, *more]).proof is Proof.EXACT
    assert site.served() == serial
    assert site.lab.bytes_on_disk() == site.lab.rendered([*resources, *more])


def test_a_refused_certificate_that_is_put_right_in_its_place_is_served(site: Site) -> None:
    """Whoever mends it at once meets an Envoy that still remembers what it refused, for the listener that is going."""
    mine, serial = certificate(site)
    right = Path(mine.chain).read_bytes()
    Path(mine.chain).write_text("no certificate")
    assert apply(site.lab, site.serving(mine)).kind is OutcomeKind.REJECTED
    Path(mine.chain).write_bytes(right)
    assert apply(site.lab, site.serving(mine)).proof is Proof.EXACT
    assert site.served() == serial


def test_a_secret_goes_with_the_last_that_needs_it(site: Site) -> None:
    """Shared by a listener and a cluster; its file goes when both are gone, and not before."""
    mine, _ = certificate(site)
    roots = Root(str(site.authority.root))
    both = [*site.serving(mine), *site.calling("up", mine, roots)]
    secrets = site.lab.directory / "secrets"
    assert apply(site.lab, both).proof is Proof.EXACT
    assert len(list(secrets.iterdir())) == 2
    assert apply(site.lab, site.serving(mine)).proof is Proof.EXACT
    assert [f"{file_name(mine.name)}{SUFFIX}"] == [path.name for path in secrets.iterdir()]
    assert apply(site.lab, []).proof is Proof.EXACT
    assert not list(secrets.iterdir())
    assert not site.lab.observe().resources


def test_a_secret_that_was_edited_is_put_right(site: Site) -> None:
    """Drift: another certificate under the name of the one that was asked for."""
    mine, serial = certificate(site)
    resources = site.serving(mine)
    assert apply(site.lab, resources).proof is Proof.EXACT
    other, forged_serial = certificate(site, "b.example")
    forged = other.message()
    forged.name = mine.name
    _write(site.lab, resources[1], forged)
    until(lambda: site.lab.observe().resources[resources[1].id] != resources[1])
    context = site.authority.client_context()
    context.check_hostname = False
    assert site.served(context) == forged_serial
    assert apply(site.lab, resources).proof is Proof.EXACT
    assert site.served() == serial


def _write(lab: Lab, item: Resource, message: Any) -> None:
    response = DiscoveryResponse(version_info="by hand")
    response.resources.add(type_url=item.id.type.type_url, value=message.SerializeToString())
    (file,) = (lab.directory / "secrets").iterdir()
    beside = file.with_name("new")
    beside.write_bytes(response.SerializeToString())
    beside.rename(file)


def test_a_secret_costs_two_watches(site: Site) -> None:
    """Its own file, and the folder of its certificates: what the limit has to have room for."""
    mine, _ = certificate(site)
    process = Path(f"/proc/{site.lab.process.pid}")
    before = instances(process)
    user = os.geteuid()

    def way(limit: int) -> Callable[[Target, Admin, Clock], FilesWay]:
        room = Watches(limit=lambda: limit, used=lambda: {user: 0})
        disk = Disk(str(site.lab.directory))
        return lambda target, admin, clock: FilesWay(target, admin=admin, clock=clock, disk=disk, watches=room)

    target = site.lab.target(site.serving(mine))
    refused = pushed([target], [site.lab], ways=way(1)).outcomes[site.lab.proxy.key]
    assert refused.kind is OutcomeKind.FAILED
    assert "2 more files" in refused.detail
    assert pushed([target], [site.lab], ways=way(2)).outcomes[site.lab.proxy.key].proof is Proof.EXACT
    assert instances(process) == before + 2
