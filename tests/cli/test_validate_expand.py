"""`reconcile validate --expand`: what rollouts walk, printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.model.mesh import Policy
from reconciler.model.rollout import Rollout
from reconciler.policy import FolderTree, load
from reconciler.rollouts.expansion import Expanded, expand
from tests.rollouts.overlays import Case

TEMPLATE = """\
---
apiVersion: reconciler/v1alpha1
kind: AnalysisTemplate
metadata: {name: golden}
spec: {args: [{name: a}], metrics: [{name: request-duration, interval: 1m, thresholdRange: {max: 500}}]}
"""
METRICS = "metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]"
FLAGGER = f"interval: 90s, threshold: 3, stepWeight: 20, maxWeight: 50, mirror: true, {METRICS}"
PLAIN = "steps: [{setWeight: 0.5}, {pause: {duration: 600}}, {pause: {}}]"

SPECS = {
    "plain": f"{PLAIN}, falseAlarmRate: 0.01",
    "templates": f"{PLAIN}, analysis: {{templates: [{{templateName: golden}}], args: [{{name: a, value: b}}], startingStep: 1}}",
    "after": f"{PLAIN}, postPromotionAnalysis: {{templates: [{{templateName: golden}}], args: [{{name: a, value: b}}]}}",
    "flagger": f"analysis: {{{FLAGGER}}}",
    "both": f"analysis: {{{FLAGGER}, templates: [{{templateName: golden}}], args: [{{name: a, value: b}}], startingStep: 2}}",
    "ab": f"analysis: {{interval: 1m, iterations: 5, match: [{{headers: {{x: {{exact: y}}}}}}], {METRICS}}}",
    "bare": "analysis: {interval: 1m, stepWeights: [1, 10]}",
}


def folder(path: Path, spec: str) -> Path:
    """A folder with a rollout of these fields."""
    text = Case(phase="").text().replace("steps: [{setWeight: 10}]", spec)
    (path / "policies").mkdir(parents=True)
    (path / "policies" / "reviews.yaml").write_text(text + TEMPLATE)
    return path


def rollout(path: Path) -> Policy[Rollout]:
    """The rollout of a folder."""
    loaded = load(FolderTree(path))
    assert loaded.mesh is not None, loaded.errors
    (found,) = loaded.mesh.rollouts
    return found


def walked(expanded: Expanded) -> tuple[object, ...]:
    """What is done, and what is looked at from which step on."""
    return expanded.steps, expanded.background and expanded.background.starting_step, expanded.post


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_what_is_printed_can_stand_in_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: str) -> None:
    """The documents load, and are walked as the rollout itself is; no file is touched."""
    before = folder(tmp_path / "before", spec)
    text = (before / "policies" / "reviews.yaml").read_text()
    assert run(["validate", "--expand", str(before)]) == 0
    printed = capsys.readouterr().out
    assert (before / "policies" / "reviews.yaml").read_text() == text
    after = folder(tmp_path / "after", spec)
    without = "---\n".join(part for part in text.split("---\n") if "kind: Rollout" not in part)
    (after / "policies" / "reviews.yaml").write_text(f"{without}---\n{printed}")
    one, other = (expand(rollout(path).spec) for path in (before, after))
    assert walked(one) == walked(other)
    assert "interval: 1m30s" in printed if "90s" in spec else True
    assert f"{printed.count('kind: AnalysisTemplate')}" == ("1" if "metrics" in spec else "0")


def test_json_is_one_document_with_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts read one document on every path; warnings are in it."""
    assert run(["validate", "--expand", "--output", "json", str(folder(tmp_path, SPECS["plain"]))]) == 0
    document = json.loads(capsys.readouterr().out)
    (only,) = document["rollouts"]
    assert only["spec"]["steps"] == [
        {"setWeight": 0.5}, {"pause": {"duration": "10m"}}, {"pause": {}}, {"setWeight": 100},
    ]  # fmt: skip
    assert "pause-seconds" in [item["code"] for item in document["warnings"]]
    assert document["errors"] == []


def test_text_has_the_verdict_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout can be written into a file as it is: warnings go to stderr."""
    assert run(["validate", "--expand", str(folder(tmp_path, SPECS["plain"]))]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("apiVersion: reconciler/v1alpha1\n")
    assert "pause-seconds" in captured.err


def test_markdown_has_it_as_a_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a comment on a pull request."""
    assert run(["validate", "--expand", "--output", "markdown", str(folder(tmp_path, SPECS["bare"]))]) == 0
    assert "```yaml\napiVersion: reconciler/v1alpha1\n" in capsys.readouterr().out


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_is_broken_is_not_expanded(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    """Only a valid rollout has steps; the verdict is as without --expand."""
    broken = str(folder(tmp_path, "steps: []"))
    assert run(["validate", "--expand", "--output", output, broken]) == 1
    expanded = capsys.readouterr().out
    assert run(["validate", "--output", output, broken]) == 1
    assert capsys.readouterr().out == expanded
    assert "kind: Rollout" not in expanded
