from __future__ import annotations

from reconciler.compile import Prototypes, compile_mesh
from reconciler.model.services import declared
from reconciler.policy import load
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.policy.memory import MemoryTree

POLICIES = TOP / "docs" / "policies.md"


def test_the_examples_of_policies_are_one_valid_mesh() -> None:
    """What people copy works: no error, no warning, no port taken twice."""
    every = blocks(POLICIES, "yaml")
    documents = [text for text in every if text.startswith("apiVersion")]
    (template,) = (text for text in every if not text.startswith("apiVersion"))
    tree = MemoryTree({"policies/all.yaml": "---\n".join(documents), "envoy-templates/access-log.yaml": template})
    loaded = load(tree)
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None
    compiled = compile_mesh(loaded.mesh, declared(loaded.mesh), Prototypes.parse(loaded.templates))
    assert [item.message for item in compiled.findings] == []
    assert {key.name for key in compiled.views} == {"reviews-v1", "reviews-v2", "ingressgateway"}
