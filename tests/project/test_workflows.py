from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.settings import shipped
from reconciler.yamldoc import load

TOP = Path(__file__).resolve().parents[2]
WORKFLOWS = TOP / ".github" / "workflows"


def workflow(name: str) -> Any:
    (document,) = load((WORKFLOWS / name).read_bytes())
    return document


def git(where: Path, *arguments: str) -> None:
    person = ["-c", "user.name=Pat", "-c", "user.email=pat@example.com"]
    subprocess.run(["git", "-C", str(where), *person, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A policy repository as the workflow checks it out: a detached head, and the base as a remote branch."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    subprocess.run(["cp", "-r", str(shipped("policies")), str(tmp_path / "policies")], check=True)
    origin.mkdir()
    (tmp_path / "policies").rename(origin / "policies")
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", ".")
    git(origin, "commit", "-q", "-m", "Start")
    subprocess.run(["git", "clone", "-q", str(origin), str(clone)], check=True)
    git(clone, "checkout", "-q", "--detach")
    return clone


def preview(checkout: Path) -> tuple[int, str]:
    """Run the step of preview.yml that does the work; its exit code and the comment."""
    steps = workflow("preview.yml")["jobs"]["preview"]["steps"]
    (step,) = (step for step in steps if step.get("id") == "preview")
    summary = checkout.parent / "summary.md"
    environment = os.environ | {
        "BASE": "main",
        "GITHUB_STEP_SUMMARY": str(summary),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=checkout, env=environment, check=False)
    comment = (checkout / "comment.md").read_text()
    assert summary.read_text() == comment
    return done.returncode, comment


def test_a_pull_request_that_moves_a_weight_gets_that_as_its_comment(checkout: Path) -> None:
    """The preview workflow's own commands, on the worked example: one move, from what to what."""
    file = checkout / "policies" / "reviews" / "traffic.yaml"
    text = file.read_text().replace("weight: 100", "weight: 95 ").replace("weight: 0 ", "weight: 5 ")
    file.write_text(text)
    git(checkout, "commit", "-q", "-a", "-m", "v2 at 5%")
    code, comment = preview(checkout)
    assert code == 0
    assert "5%" in comment
    assert "reviews" in comment


def test_a_pull_request_that_cannot_be_used_gets_its_errors_as_the_comment(checkout: Path) -> None:
    """The job fails, and the comment says where and why."""
    (checkout / "policies" / "reviews" / "traffic.yaml").write_text("kind: [\n")
    git(checkout, "commit", "-q", "-a", "-m", "Break it")
    code, comment = preview(checkout)
    assert code == 1
    assert "policies/reviews/traffic.yaml:" in comment
    assert "yaml-syntax" in comment


def test_ci_runs_one_tested_command() -> None:
    """The workflow stays thin: everything it does is `.ci/run`."""
    steps = workflow("ci.yml")["jobs"]["check"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]


@pytest.mark.parametrize(("name", "command"), [("demo", "reconcile demo"), ("test", ".ci/check")])
def test_the_readme_has_the_two_blocks_that_newcomers_run(name: str, command: str) -> None:
    """What the README tells people to run is what continuous integration runs."""
    done = subprocess.run([str(TOP / ".ci" / "readme-block"), name], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == command
    assert "pip install" in done.stdout
