"""Secrets that name files: what they are called, what they hold, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import BugError
from reconciler.model import protos
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.model.secrets import Certificate, Root, parse, referenced, secret_resource, unusable

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
PATHS = st.text(st.sampled_from("/a.:~ é\n"), max_size=8).map("/".__add__)
USABLE = PATHS.filter(lambda path: not unusable(path))


def test_a_certificate_names_its_files_and_the_folder_to_watch() -> None:
    """Envoy gets paths and never a key, and looks again when something is moved into the chain's folder."""
    item = secret_resource(Certificate("/etc/certs/tls.pem", "/etc/keys/tls.key"))
    assert item.id == ResourceId(ResourceType.SECRET, "file-cert:/etc/certs/tls.pem~/etc/keys/tls.key")
    assert protos.to_dict(protos.decode(item)) == {
        "name": "file-cert:/etc/certs/tls.pem~/etc/keys/tls.key",
        "tls_certificate": {
            "certificate_chain": {"filename": "/etc/certs/tls.pem"},
            "private_key": {"filename": "/etc/keys/tls.key"},
            "watched_directory": {"path": "/etc/certs"},
        },
    }


@pytest.mark.parametrize(
    ("root", "name", "more"),
    [
        (Root("/ca.pem"), "file-root:/ca.pem", {}),
        (Root("/ca.pem", "/crl.pem"), "file-root:/ca.pem~/crl.pem", {"crl": {"filename": "/crl.pem"}}),
    ],
)
def test_a_root_names_its_authorities_and_what_they_revoked(root: Root, name: str, more: dict[str, object]) -> None:
    """The list of revocations is part of the name only where there is one, as in Istio."""
    context = {"trusted_ca": {"filename": "/ca.pem"}, "watched_directory": {"path": "/"}}
    assert protos.to_dict(root.message()) == {"name": name, "validation_context": context | more}


@given(first=USABLE, second=USABLE)
def test_a_name_tells_its_files(first: str, second: str) -> None:
    """Names are all that an Envoy shows of the files: each is read back as what it was made from."""
    for item in (Certificate(first, second), Root(first), Root(first, second)):
        assert parse(item.name) == item


@given(path=PATHS.filter(unusable))
def test_a_path_that_would_blur_a_name_is_refused(path: str) -> None:
    """What `unusable` explains, no secret takes, in either place."""
    for make in (Certificate, Root):
        for files in ((path, "/a"), ("/a", path)):
            with pytest.raises(BugError):
                make(*files)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/a", ""),
        ("", "absolute"),
        ("a.pem", "absolute"),
        ("/a/", "absolute"),
        ("/a~b", "separates"),
        ("/a\nb", "printed"),
        ("/proc/self/fd/3", "refuses"),
    ],
)
def test_why_a_path_is_unusable_can_be_said(path: str, why: str) -> None:
    """Whoever checks policies tells people what is wrong with a path."""
    assert why in unusable(path)
    assert bool(why) == bool(unusable(path))


@pytest.mark.parametrize(
    "name",
    ["", "default", "file-cert:", "file-cert:/a", "file-cert:/a~/b~/c", "file-cert:a~b", "file-root:/a~", "/a~/b"],
)
def test_other_names_are_nobody_s_files(name: str) -> None:
    """A secret of another origin is not taken for one of ours."""
    assert parse(name) is None


def test_what_a_tls_context_subscribes_to_is_found_wherever_it_stands() -> None:
    """A secret is needed by whatever names it: certificates, roots, and roots within a combined context."""

    def sds(name: str) -> dict[str, object]:
        return {"name": name, "sds_config": {"path_config_source": {"path": f"/{name}"}}}

    combined = {"default_validation_context": {}, "validation_context_sds_secret_config": sds("root")}
    context = {"tls_certificate_sds_secret_configs": [sds("one"), sds("two")], "combined_validation_context": combined}
    config = {"@type": f"{TLS}UpstreamTlsContext", "common_tls_context": context, "sni": "x"}
    value = {"name": "c", "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": config}}
    cluster = protos.to_dict(protos.from_dict(ResourceType.CLUSTER, value))
    assert sorted(referenced(cluster)) == ["one", "root", "two"]
    assert not list(referenced({"name": "c", "eds_cluster_config": {"eds_config": {}}}))
