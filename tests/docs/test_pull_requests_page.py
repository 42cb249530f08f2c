"""docs/pull-requests.md: its commands run, and the files that it names are those that are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.settings import shipped
from tests.ci.forges import Upstream, git
from tests.docs.blocks import blocks
from tests.docs.generate import TOP

PAGE = TOP / "docs" / "pull-requests.md"


def run(command: str, where: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GITLAB_", "CI_"))}
    people = {f"GIT_{role}_{what}": "ada@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = kept | people | {"PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return subprocess.run(["bash", "-c", command], cwd=where, env=environ, check=False, capture_output=True, text=True)


@pytest.fixture
def commands() -> list[str]:
    """Every command of the page, in order."""
    return [
        line.removeprefix("$ ") for block in blocks(PAGE, "console") for line in block.splitlines() if line[:2] == "$ "
    ]


def test_the_commands_do_what_the_page_says(tmp_path: Path, commands: list[str]) -> None:
    """A preview that a guard refuses, its four files, the commit that acknowledges it, and the preview after that."""
    preview, acknowledge = commands
    upstream = Upstream.at(tmp_path / "mesh")
    upstream.topic("my-branch")
    upstream.edit(("weight: 100 ", "weight: 0 "), ("weight: 0                    # ...", "weight: 100 # ..."))
    done = run(f"{preview} --no-envoy", upstream.path, tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    files = sorted(path.name for path in (upstream.path / "preview").iterdir())
    assert files == ["codequality.json", "comment.md", "plan.json", "preview.json"]
    assert [name for name in files if f"`{name}`" not in PAGE.read_text()] == []
    assert run(acknowledge, upstream.path, tmp_path).returncode == 0
    done = run(f"{preview} --no-envoy --exit-code", upstream.path, tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    assert "allowed:" in (upstream.path / "preview" / "comment.md").read_text()


def test_every_owned_path_is_one_of_a_policy_repository() -> None:
    """The example of CODEOWNERS fits the worked example, but for what a repository adds to that."""
    (block,) = [text for text in blocks(PAGE, "text") if "@acme" in text]
    owned = [line.split()[0] for line in block.splitlines()]
    there = {
        "/policies/",
        *(f"/policies/{path.relative_to(shipped('policies'))}" for path in shipped("policies").rglob("*")),
    }
    added = {"/policies/**/rollout.yaml", "/envoy-templates/", "/.github/"}
    assert [path for path in owned if path not in added and path.rstrip("/") not in there and path not in there] == []


def test_the_files_to_copy_are_shipped() -> None:
    """Each link into `.github/` leads to a file that is under version control."""
    linked = re.findall(r"\]\(\.\./(\.github/[^)]+)\)", PAGE.read_text())
    assert len(linked) == 4
    assert git(TOP, "ls-files", "--", *linked).splitlines() == sorted(linked)
