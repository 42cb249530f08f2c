"""What a rollout expands to, as documents that could stand in its place: for people who want to see what is walked."""

from __future__ import annotations

from typing import Any

from reconciler.model.mesh import Policy
from reconciler.model.plain import plain
from reconciler.model.rollout import Analysis, Rollout
from reconciler.rollouts.expansion import AnalysisUse, expand

_VERSION = "reconciler/v1alpha1"


def written_out(policy: Policy[Rollout]) -> list[dict[str, Any]]:
    """The Rollout with all of its steps, and before it an AnalysisTemplate of the metrics that stood in it.

    These documents are walked as the policy itself is, apart from `status`, which is not among them.
    """
    expanded = expand(policy.spec)
    documents = []
    analysis = policy.spec.analysis
    if expanded.background is not None:
        name = f"{policy.key.name}-analysis"
        analysis, template = _background(expanded.background, name)
        if template is not None:
            documents.append(_document("AnalysisTemplate", policy, name, template))
    elif analysis is not None:
        analysis = None
    spec = policy.spec.model_copy(update={"steps": expanded.steps, "analysis": analysis})
    documents.append(_document("Rollout", policy, policy.key.name, plain(spec)))
    return documents


def _background(use: AnalysisUse, name: str) -> tuple[Analysis, dict[str, Any] | None]:
    """An analysis by templates alone, and the template that is missing for that."""
    if not use.metrics:
        return Analysis(templates=use.templates, args=use.args, starting_step=use.starting_step), None
    template: dict[str, Any] = {"metrics": [plain(metric) for metric in use.metrics]}
    if use.args:
        template = {"args": [plain(item) for item in use.args], **template}
    listed = [*(plain(ref) for ref in use.templates), {"templateName": name}]
    analysis = {
        "templates": listed,
        "args": [plain(item) for item in use.args] if use.templates else [],
        "starting_step": use.starting_step,
    }
    return Analysis.model_validate(analysis, strict=False), template


def _document(kind: str, policy: Policy[Rollout], name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": policy.key.namespace}
    return {"apiVersion": _VERSION, "kind": kind, "metadata": metadata, "spec": spec}
