from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.yamldoc import load
from tests.ci.forges import Upstream, github, pull_event

TOP = Path(__file__).resolve().parents[2]
GITHUB = TOP / ".github"
RECONCILE = Path(sys.executable).parent / "reconcile"
ACTION = "actions/preview/action.yml"
GITHUB_FILES = (ACTION, "workflows/preview.yml", "workflows/preview-comment.yml")
FILES = (ACTION, "workflows/preview-comment.yml", "gitlab/preview.yml")


def document(path: str) -> Any:
    (found,) = load((GITHUB / path).read_bytes())
    return found


def runs(path: str) -> list[str]:
    """The commands of a file, in order."""
    found = document(path)
    if "runs" in found:
        steps = found["runs"]["steps"]
    elif "jobs" in found:
        (job,) = found["jobs"].values()
        steps = job["steps"]
    else:
        return [*found["preview"]["script"], *found["preview"]["after_script"]]
    return [step["run"] for step in steps if "run" in step]


def used(path: str) -> list[str]:
    """The actions that a file uses, with the comments behind them."""
    return re.findall(r"(?<![a-z])uses: (.+)", (GITHUB / path).read_text())


@pytest.mark.parametrize("path", FILES)
def test_every_command_is_a_command_of_ours_with_its_options(path: str) -> None:
    """A workflow has no logic of its own: it installs, and runs one line that is tested elsewhere and has these options."""
    commands = [line for line in runs(path) if not line.startswith("pip install --quiet ")]
    assert commands
    for line in commands:
        words = shlex.split(line)
        assert words[0] == "reconcile"
        options = [word for word in words if word.startswith("--")]
        verb = words[1:3]
        shown = subprocess.run([RECONCILE, *verb, "--help"], capture_output=True, text=True, check=True).stdout
        assert [option for option in options if option not in shown] == []


@pytest.mark.parametrize("path", GITHUB_FILES)
def test_actions_are_pinned_and_nothing_of_a_pull_request_reaches_a_shell(path: str) -> None:
    """A tag can be moved to other code; an expression in a command is code that whoever names a branch has written."""
    for name in used(path):
        assert re.fullmatch(r"\./\.github/actions/preview|actions/[a-z-]+@[0-9a-f]{40} # v[0-9.]+", name)
    assert [line for line in runs(path) if "${{" in line] == []
    assert "pull_request_target" not in (GITHUB / path).read_text()


def test_the_job_that_computes_may_only_read_and_the_one_that_writes_runs_nothing_of_the_pull_request() -> None:
    """Forks: no secret in the first, no checkout in the second; a newer push replaces an older preview."""
    first, second = document("workflows/preview.yml"), document("workflows/preview-comment.yml")
    assert first["permissions"] == {"contents": "read"}
    assert {"pull_request", "merge_group"} == set(first["on"])
    assert "secrets." not in (GITHUB / "workflows/preview.yml").read_text()
    assert first["concurrency"]["cancel-in-progress"] is True
    assert second["permissions"] == {}
    assert second["on"]["workflow_run"]["workflows"] == [first["name"]]
    assert not [name for name in used("workflows/preview-comment.yml") if "checkout" in name]
    assert second["jobs"]["comment"]["permissions"] == {
        "actions": "read", "checks": "write", "contents": "read", "pull-requests": "write", "statuses": "write",
    }  # fmt: skip
    (upload,) = (step for step in document(ACTION)["runs"]["steps"] if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "always()"


def test_the_action_previews_what_the_checkout_has(tmp_path: Path) -> None:
    """The action's own command, in a clone as `actions/checkout` leaves it: its folder is what the other job takes."""
    upstream = Upstream.at(tmp_path / "upstream")
    upstream.topic("topic")
    head = upstream.edit(("weight: 100 ", "weight: 95 "), ("weight: 0 ", "weight: 5 "))
    upstream.opened(7, head)
    clone = upstream.clone("refs/pull/7/merge", depth=0)
    (command,) = (line for line in runs(ACTION) if line.startswith("reconcile"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI_"))}
    environment |= dict(github(tmp_path, "pull_request", pull_event(7, head)))
    environment |= {"RUNNER_TEMP": str(tmp_path), "PATH": f"{RECONCILE.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-e", "-c", command], cwd=clone, env=environment, check=True, capture_output=True)
    assert b"reviews" in done.stdout
    comment = (tmp_path / "preview" / "comment.md").read_text()
    assert "reviews v2 0% → 5%" in comment
    assert (tmp_path / "summary.md").read_text() == comment


def test_ci_runs_one_tested_command() -> None:
    """The workflow stays thin: everything it does is `.ci/run`."""
    assert runs("workflows/ci.yml") == [".ci/run"]


@pytest.mark.parametrize(("name", "command"), [("demo", "reconcile demo"), ("test", ".ci/check")])
def test_the_readme_has_the_two_blocks_that_newcomers_run(name: str, command: str) -> None:
    """What the README tells people to run is what continuous integration runs."""
    done = subprocess.run([str(TOP / ".ci" / "readme-block"), name], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == command
    assert "pip install" in done.stdout
