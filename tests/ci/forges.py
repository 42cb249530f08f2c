"""A forge and the clones that its CI makes: real repositories on disk, with the refs that forges keep."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.settings import shipped

TRAFFIC = "policies/reviews/traffic.yaml"
BASE, FORK = "acme/mesh", "mallory/mesh"
_PERSON = ("-c", "user.name=Pat", "-c", "user.email=pat@example.com", "-c", "commit.gpgsign=false")


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *_PERSON, *arguments], cwd=where, check=True, capture_output=True)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


@dataclass(frozen=True)
class Upstream:
    """A repository with the worked example on `main`, in which pull requests are opened."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> Upstream:
        """A new one."""
        shutil.copytree(shipped("policies"), path / "policies")
        git(path, "init", "-q", "-b", "main")
        upstream = cls(path)
        upstream.commit("Start")
        return upstream

    def commit(self, message: str) -> str:
        """Commit everything that is there."""
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.path, "rev-parse", "HEAD")

    def edit(self, *changes: tuple[str, str], file: str = TRAFFIC, message: str = "Change") -> str:
        """Replace texts of a file on whatever is checked out, and commit."""
        path = self.path / file
        text = path.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path.write_text(text)
        return self.commit(message)

    def topic(self, name: str) -> None:
        """Go to a new branch on top of main."""
        git(self.path, "checkout", "-q", "-b", name, "main")

    def main(self) -> None:
        """Go to main."""
        git(self.path, "checkout", "-q", "main")

    def opened(self, number: int, head: str) -> None:
        """Keep the refs of a pull request as GitHub does: the head, and a test merge."""
        git(self.path, "update-ref", f"refs/pull/{number}/head", head)
        git(self.path, "checkout", "-q", "--detach", "main")
        merged = subprocess.run(
            ["git", *_PERSON, "merge", "-q", "--no-edit", "--no-ff", head],
            cwd=self.path,
            check=False,
            capture_output=True,
        )
        if merged.returncode == 0:
            git(self.path, "update-ref", f"refs/pull/{number}/merge", "HEAD")
        else:
            git(self.path, "merge", "--abort")
        self.main()

    def clone(self, ref: str, *, depth: int = 1) -> Path:
        """What `actions/checkout` leaves."""
        clone = self.path.parent / f"clone-{ref.replace('/', '-')}"
        git(self.path.parent, "init", "-q", str(clone))
        git(clone, "remote", "add", "origin", f"file://{self.path}")
        options = [f"--depth={depth}"] if depth else []
        git(clone, "fetch", "-q", "--no-tags", *options, "origin", ref)
        git(clone, "checkout", "-q", "--detach", "FETCH_HEAD")
        return clone


def github(folder: Path, name: str, event: Any, *, run: int = 77) -> Mapping[str, str]:
    """The variables that GitHub's runner sets for an event."""
    path = folder / f"event-{name}.json"
    path.write_text(json.dumps(event))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REPOSITORY": BASE,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_RUN_ID": str(run),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }


def pull_event(number: int, head: str, *, base: str = "main", base_sha: str = "1" * 40, fork: bool = False) -> Any:
    """The part of a `pull_request` payload that matters, with a base commit that is long out of date."""
    return {
        "action": "synchronize",
        "number": number,
        "pull_request": {
            "number": number,
            "base": {"ref": base, "sha": base_sha, "repo": {"full_name": BASE}},
            "head": {"ref": "topic", "sha": head, "repo": {"full_name": FORK if fork else BASE}},
        },
    }
