from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import Severity
from reconciler.policy import FolderTree, load
from reconciler.policy.documents import read_file
from reconciler.policy.kinds import KINDS

OTHERS = [
    ("networking.istio.io/v1alpha3", "EnvoyFilter", "envoy-templates/"),
    ("networking.istio.io/v1beta1", "ProxyConfig", "reconcile bootstrap"),
    ("networking.istio.io/v1", "WorkloadGroup", "WorkloadEntry"),
    ("extensions.istio.io/v1alpha1", "WasmPlugin", "envoy-templates/"),
    ("security.istio.io/v1", "AuthorizationPolicy", "exportTo"),
    ("security.istio.io/v1", "PeerAuthentication", "ingress tls"),
    ("security.istio.io/v1", "RequestAuthentication", "header"),
    ("telemetry.istio.io/v1", "Telemetry", "Mesh's telemetry"),
    ("install.istio.io/v1alpha1", "IstioOperator", "Mesh"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute", "VirtualService"),
]

FOLDER = {
    "values.yaml": "replicaCount: 2\ningress: {hosts: [a.example.com]}\n",
    "Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
    "kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
    "compose.yml": "version: '3'\nservices: {}\n",
    "playbook.yaml": "- hosts: all\n  tasks: []\n",
    "deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
    "other.yaml": "apiVersion: other.example.com/v1\nkind: Gateway\nmetadata: {name: a}\n",
    "policy.yaml": "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\nspec: {address: 10.0.0.1}\n",
}


@pytest.mark.parametrize(("version", "kind", "instead"), OTHERS)
def test_kinds_of_istio_that_are_not_carried_out_name_what_is(version: str, kind: str, instead: str) -> None:
    """Nobody believes for a moment that such a policy holds, and everybody learns what to do."""
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{}}\n"
    (only,) = read_file(text.encode(), file="x.yaml").diagnostics
    assert (only.code, only.severity, only.line) == ("unsupported-kind", Severity.ERROR, 2)
    assert kind in only.message
    assert instead in only.hint


def test_any_folder_of_yaml_can_be_validated(tmp_path: Path) -> None:
    """What is somebody else's is left alone, each with a note, and the policies among it are read."""
    for name, text in FOLDER.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    loaded = load(FolderTree(tmp_path, mounted="policies"))
    assert loaded.errors == ()
    assert {item.code for item in loaded.warnings} == {"skipped-kind"}
    assert len(loaded.warnings) == len(FOLDER)
    assert loaded.mesh is not None
    assert [policy.key.name for policy in loaded.mesh.policies()] == ["a"]


def test_foreign_documents_of_one_kind_are_said_once_for_a_file() -> None:
    """A manifest of twenty Deployments is one note at the first of them, with how many there are."""
    text = "---\n".join(["apiVersion: apps/v1\nkind: Deployment\n"] * 3 + ["apiVersion: v1\nkind: Service\n"])
    deployments, service = read_file(text.encode(), file="x.yaml").diagnostics
    assert (deployments.line, service.line) == (2, 11)
    assert deployments.message.endswith("it is left alone, and so are 2 more documents of this file")
    assert service.message.endswith("it is left alone")


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_header_of_ours_is_a_mistake(kind: str) -> None:
    """A policy that lost its apiVersion or its kind does not become somebody else's document."""
    group = KINDS[kind][0]
    for text in (f"kind: {kind}\nspec: {{}}\n", f"apiVersion: {group}/v1\nspec: {{}}\n", "metadata: {}\nspec: {}\n"):
        assert [
            item.severity for item in read_file(text.encode(), file="x.yaml").diagnostics if item.severity == "error"
        ]
