from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.policy import load
from tests.docs.effects import by_field, effect, leaves, meshes, valid
from tests.docs.istio import SIX
from tests.policy.memory import MemoryTree

FOR_READERS = "names it for readers and messages"
WITHOUT_EFFECT: dict[tuple[str, str], str] = {
    ("Gateway", "servers[].name"): FOR_READERS,
    (
        "ServiceEntry",
        "location",
    ): "Istio makes mutual TLS automatic by it; here a DestinationRule says when there is TLS",
    ("Sidecar", "ingress[].port.name"): FOR_READERS,
    ("Sidecar", "egress[].port.name"): FOR_READERS,
}
"""Fields that change nothing in an Envoy, and why that is right."""

REFUSED: dict[tuple[str, str], dict[str, Any]] = {
    ("Sidecar", "ingress[].tls.httpsRedirect"): {"httpsRedirect": True},
    ("Sidecar", "ingress[].tls.credentialName"): {"credentialName": "a"},
    ("Sidecar", "ingress[].tls.credentialNames"): {"credentialNames": ["a", "b"]},
    ("Sidecar", "ingress[].tls.caCertCredentialName"): {"caCertCredentialName": "a"},
    ("Sidecar", "ingress[].tls.subjectAltNames"): {"subjectAltNames": ["a"]},
    ("Sidecar", "ingress[].tls.tlsCertificates[].serverCertificate"): {
        "tlsCertificates": [{"serverCertificate": "/c"}]
    },
    ("Sidecar", "ingress[].tls.tlsCertificates[].privateKey"): {"tlsCertificates": [{"privateKey": "/k"}]},
}
"""Fields of a message that two kinds share and only the other kind may use, with what is refused."""

LEAVES = [(kind, path) for kind, spec in SIX.items() for path in leaves(spec)]


@pytest.mark.parametrize(("kind", "path"), [item for item in LEAVES if item not in {*WITHOUT_EFFECT, *REFUSED}])
def test_a_field_that_is_accepted_is_not_ignored(kind: str, path: str) -> None:
    """Each field, somewhere in the meshes, changes what some Envoy gets or what is said about it."""
    found = by_field().get((kind, path), ())
    assert found, "no mesh uses it"
    assert any(effect(use) for use in found), f"tried in {len(found)} places"


@pytest.mark.parametrize(("kind", "path"), WITHOUT_EFFECT)
def test_what_is_said_to_have_no_effect_has_none(kind: str, path: str) -> None:
    """The list of exceptions is as short as it can be."""
    assert not any(effect(use) for use in by_field()[kind, path])


@pytest.mark.parametrize(("kind", "path"), REFUSED)
def test_what_only_gateways_may_say_is_refused_in_a_sidecar(kind: str, path: str) -> None:
    """An error, so that nobody waits for its effect."""
    tls: dict[str, Any] = {"mode": "MUTUAL", "serverCertificate": "/c", "privateKey": "/k", "caCertificates": "/a"}
    listener = {"port": {"number": 443, "protocol": "HTTPS"}, "tls": tls}
    spec = {"workloadSelector": {"labels": {"app": "a"}}, "ingress": [listener]}
    document = {"kind": kind, "metadata": {"name": "case"}, "spec": spec}
    assert valid(document)
    assert path.startswith("ingress[].tls.")
    tls |= REFUSED[kind, path]
    assert not valid(document)


def test_the_meshes_are_valid() -> None:
    """What is tried is what users may write."""
    for mesh in meshes():
        text = "\n---\n".join(json.dumps(_headed(document)) for document in mesh)
        said = load(MemoryTree({"policies/all.yaml": text})).diagnostics
        assert [str(item) for item in said if item.severity == "error"] == []


def _headed(document: dict[str, object]) -> dict[str, object]:
    group = "networking.istio.io/v1" if document["kind"] in SIX else "reconciler/v1alpha1"
    return {"apiVersion": group, **document}
