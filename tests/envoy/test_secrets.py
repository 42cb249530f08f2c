"""Secrets of a real Envoy: read back as what they were compiled from, and never with what is in their files."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.envoy import matches
from reconciler.model import protos
from reconciler.model.resource import Resource
from reconciler.model.secrets import Certificate, Root, secret_resource
from tests.certificates import Authority
from tests.envoy.live import CLUSTER, LISTENER, SECRET, Files, Live, at, chain, made, running, split, until, view

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."


def subscription(files: Files, name: str) -> dict[str, Any]:
    """Where an Envoy finds a secret, which it does not wait for with a limit."""
    return {"name": name, "sds_config": files.source(SECRET, name) | {"initial_fetch_timeout": "0s"}}


def socket(files: Files, side: str, certificate: str, root: str = "") -> dict[str, Any]:
    """A TLS transport socket, up- or downstream."""
    common: dict[str, Any] = {"tls_certificate_sds_secret_configs": [subscription(files, certificate)]}
    if root:
        sds = subscription(files, root)
        common["combined_validation_context"] = {
            "default_validation_context": {},
            "validation_context_sds_secret_config": sds,
        }
    config = {"@type": f"{TLS}{side}TlsContext", "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def tls_listener(files: Files, name: str, certificate: str, root: str = "") -> Resource:
    """A listener that serves one certificate."""
    filters = chain(name, route_config=split("r", {"up": 1}) | {"validate_clusters": False})
    secure = filters | {"transport_socket": socket(files, "Downstream", certificate, root)}
    return made(LISTENER, {"name": name, "address": at(0), "filter_chains": [secure]})


def tls_cluster(files: Files, name: str, certificate: str, root: str) -> Resource:
    """A cluster whose endpoints are spoken to with TLS."""
    value = {"name": name, "type": "STATIC", "connect_timeout": "1s"}
    return made(CLUSTER, value | {"transport_socket": socket(files, "Upstream", certificate, root)})


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certs")


@pytest.fixture
def live(envoy: str, short_path: Path) -> Iterator[Live]:
    assert envoy
    with running(short_path) as lab:
        yield lab


def certificate(authority: Authority, name: str = "a.example") -> Certificate:
    pair = authority.issue(name)
    return Certificate(str(pair.chain), str(pair.key))


def world(files: Files, mine: Certificate, roots: Root) -> list[Resource]:
    """Everything that may refer to secrets."""
    return [
        secret_resource(mine),
        secret_resource(roots),
        tls_listener(files, "in", mine.name, roots.name),
        tls_cluster(files, "up", mine.name, roots.name),
    ]


def test_secrets_come_back_as_what_they_were_compiled_from(live: Live, authority: Authority) -> None:
    """An Envoy shows what is in the files; what is observed has their names, and the compiled version."""
    roots = Root(str(authority.root), str(authority.revoke([])))
    expected = view(world(live, certificate(authority), roots))
    live.write(expected.resources.values())
    until(lambda: matches(live.admin.versions(), expected))
    assert dict(live.observe().resources) == dict(expected.resources)
    assert {id_.type for id_ in live.observe(SECRET).resources} == {SECRET}


def test_nothing_of_the_files_is_observed(live: Live, authority: Authority) -> None:
    """Neither a certificate nor a key reaches a plan or a receipt, whoever wrote the secret and whatever its version."""
    mine = certificate(authority)
    for version in (secret_resource(mine).version, "by hand"):
        live.write(world(live, mine, Root(str(authority.root))), version=version)
        until(lambda: SECRET in {id_.type for id_ in live.observe().resources})
        for item in live.observe().resources.values():
            assert b"-----" not in item.body
            assert base64.b64encode(b"-----BEGIN").rstrip(b"=")[:-1] not in item.body


def test_another_file_under_the_same_name_is_seen(live: Live, authority: Authority) -> None:
    """A secret that was edited by hand differs, though an Envoy doesn't show which file it reads."""
    mine, other = certificate(authority), certificate(authority, "b.example")
    honest = world(live, mine, Root(str(authority.root)))
    live.write(honest)
    until(lambda: matches(live.admin.versions(), view(honest)))
    forged = other.message()
    forged.name = mine.name
    live.put(honest[0].id, [protos.resource(SECRET, forged)], "by hand")
    until(lambda: live.observe().resources[honest[0].id] != honest[0])
    assert "filename" not in str(protos.to_dict(protos.decode(live.observe().resources[honest[0].id])))
    live.put(honest[0].id, [honest[0]], honest[0].version)
    until(lambda: live.observe().resources[honest[0].id] == honest[0])


@pytest.mark.parametrize("fault", ["missing", "garbage", "mismatch"])
def test_a_secret_that_was_never_taken_does_not_serve(live: Live, authority: Authority, fault: str) -> None:
    """An Envoy serves a listener whose certificate it can't use, and breaks off every handshake; the secret is missing."""
    mine = certificate(authority)
    if fault == "missing":
        Path(mine.chain).unlink()
    elif fault == "garbage":
        Path(mine.chain).write_text("no certificate")
    else:
        mine = Certificate(mine.chain, str(authority.issue("other.example").key))
    before = live.admin.versions()
    resources = [secret_resource(mine), tls_listener(live, "in", mine.name)]
    live.write(resources)
    until(lambda: live.admin.versions().rejected[SECRET] > before.rejected[SECRET])
    until(lambda: live.observe().resources.keys() == {resources[1].id})
    assert live.admin.versions().warming == 0
    assert not matches(live.admin.versions(), view(resources))
    certificate(authority)  # files that work; an Envoy takes them once it is told to read the secret again
    if fault == "mismatch":
        authority.issue("a.example", file="other.example")
        Path(mine.chain).write_bytes((authority.folder / "other.example.pem").read_bytes())
    live.put(resources[0].id, [resources[0]], resources[0].version)
    until(lambda: dict(live.observe().resources) == {item.id: item for item in resources})


def test_a_secret_that_nothing_uses_any_more_is_gone(live: Live, authority: Authority) -> None:
    """A listener that is going keeps its secrets in the dump; what is observed is what serves."""
    mine = certificate(authority)
    resources = [secret_resource(mine), tls_listener(live, "in", mine.name)]
    live.write(resources)
    until(lambda: matches(live.admin.versions(), view(resources)))
    roots = Root(str(authority.root))
    live.write([secret_resource(roots), tls_cluster(live, "up", mine.name, roots.name)])
    until(lambda: not live.observe(LISTENER).resources)
    assert secret_resource(mine).id in live.observe().resources  # the cluster uses it
    live.write([])
    until(lambda: not live.observe(CLUSTER).resources)
    assert not live.observe().resources


def test_secrets_of_others_are_not_ours(live: Live, authority: Authority) -> None:
    """A secret whose name doesn't say which files it has is a matter of whoever subscribed to it."""
    foreign = certificate(authority).message()
    foreign.name = "default"
    live.write([protos.resource(SECRET, foreign), tls_listener(live, "in", "default")])
    until(lambda: (SECRET, "default") in live.admin.versions().versions)
    assert {id_.type for id_ in live.observe().resources} == {LISTENER}
