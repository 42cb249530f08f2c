"""What a forge keeps behind its API: a bare Git repository whose `main` is protected, and pull requests on its branches.

As GitHub's, from its public description: the head of an open pull request follows its branch; a closed one keeps what it had,
and is reopened only while the branch still contains that; one whose branch goes is closed; one whose head turns up in the
base has been merged. Merging is done by Git itself.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROTECTION = """#!/bin/sh
case "$1" in refs/heads/main)
  echo "error: GH006: Protected branch update failed for refs/heads/main." >&2
  echo "- Changes must be made through a pull request." >&2
  exit 1
esac
"""
WEB = "GitHub <noreply@github.com>"
BOT = "rollouts-bot"


class RefusedError(Exception):
    """What is asked can't be done; the arguments are the errors that the API shows."""

    def __init__(self, **error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(slots=True, kw_only=True)
class Pull:
    """A pull request, with what its branch had when it was last looked at.

    One with a `fork` is from another repository of that owner, of which there is no branch here.
    """

    number: int
    head: str
    head_sha: str
    base: str
    title: str
    body: str
    author: str
    state: str = "open"
    merged: str = ""
    fork: str = ""


class Hosted:
    """A repository with its pull requests.

    Attributes:
        git_dir: The bare repository.
        pulls: All pull requests, by number.
        drop_merged: Whether the branch of a merged pull request is removed, as a setting of GitHub's has it.
    """

    def __init__(self, git_dir: Path, files: Mapping[str, bytes], *, protected: bool = True, home: str = "") -> None:
        self.git_dir = git_dir
        self.pulls: dict[int, Pull] = {}
        self.drop_merged = False
        self.home = home
        run("init", "-q", "--bare", "--template=", "--initial-branch=main", str(git_dir))
        if protected:
            (git_dir / "hooks").mkdir()
            (git_dir / "hooks" / "update").write_text(_PROTECTION)
            (git_dir / "hooks" / "update").chmod(0o755)
        if files:
            self.push("main", files, "Begin")

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git on the repository; returns stdout."""
        return run(f"--git-dir={self.git_dir}", *arguments, check=check)

    def tip(self, branch: str) -> str:
        """What a branch has; "" if there is none."""
        return self.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False)

    def show(self, ref: str, path: str) -> str:
        """A file of a commit."""
        return self.git("show", f"{ref}:{path}")

    def push(self, branch: str, files: Mapping[str, bytes], message: str, by: str = "Ada <ada@example.com>") -> str:
        """A commit of a person on top of a branch, or on top of nothing; on a protected one by an administrator."""
        old = self.tip(branch)
        with self._work(old, by) as (work, environ):
            for path, content in files.items():
                (work / path).parent.mkdir(parents=True, exist_ok=True)
                (work / path).write_bytes(content)
            run("add", "-A", cwd=work, environ=environ)
            run("commit", "-q", "-m", message, cwd=work, environ=environ)
            return self._land(branch, work, old)

    def revert(self, commit: str, by: str = "Ada <ada@example.com>") -> str:
        """A revert of a commit on `main`, by a person."""
        old = self.tip("main")
        with self._work(old, by) as (work, environ):
            mainline = ("-m", "1") if len(self.git("rev-parse", f"{commit}^@").split()) > 1 else ()
            run("revert", "--no-edit", *mainline, commit, cwd=work, environ=environ)
            return self._land("main", work, old)

    def remove(self, branch: str) -> None:
        """A person removes a branch."""
        self.git("update-ref", "-d", f"refs/heads/{branch}")
        self.look()

    def look(self) -> None:
        """Bring pull requests up to date with the branches."""
        for pull in self.pulls.values():
            if pull.state != "open":
                continue
            tip, base = pull.head_sha if pull.fork else self.tip(pull.head), self.tip(pull.base)
            if not tip:
                pull.state = "closed"
            elif self.contains(base, tip):
                pull.state = "closed"
                if tip == pull.head_sha:
                    pull.merged = tip
            if tip:
                pull.head_sha = tip
                self.git("update-ref", f"refs/pull/{pull.number}/head", tip)

    def contains(self, commit: str, ancestor: str) -> bool:
        """Whether a commit contains another."""
        base = self.git("merge-base", commit, ancestor, check=False)
        return base == ancestor

    def open(self, *, head: str, base: str, title: str, body: str, author: str = BOT) -> Pull:
        """Open a pull request.

        Raises:
            RefusedError: As GitHub refuses it with 422.
        """
        self.look()
        for field, branch in (("head", head), ("base", base)):
            if not self.tip(branch):
                raise RefusedError(resource="PullRequest", field=field, code="invalid")
        if any(pull.state == "open" and (pull.head, pull.base) == (head, base) for pull in self.pulls.values()):
            what = f"A pull request already exists for {self.home.partition('/')[0]}:{head}."
            raise RefusedError(resource="PullRequest", code="custom", message=what)
        if self.contains(self.tip(base), self.tip(head)):
            what = f"No commits between {base} and {head}"
            raise RefusedError(resource="PullRequest", code="custom", message=what)
        number = len(self.pulls) + 1
        pull = Pull(number=number, head=head, head_sha=self.tip(head), base=base, title=title, body=body, author=author)
        self.pulls[number] = pull
        self.look()
        return pull

    def open_from_fork(self, fork: str, files: Mapping[str, bytes], *, title: str) -> Pull:
        """Somebody opens a pull request from their own copy of the repository."""
        old = self.tip("main")
        with self._work(old, f"{fork} <{fork}@example.com>") as (work, environ):
            for path, content in files.items():
                (work / path).write_bytes(content)
            run("add", "-A", cwd=work, environ=environ)
            run("commit", "-q", "-m", title, cwd=work, environ=environ)
            tip = run("rev-parse", "HEAD", cwd=work)
            run("fetch", "-q", str(work), tip, cwd=self.git_dir)
        number = len(self.pulls) + 1
        pull = Pull(
            number=number, head="main", head_sha=tip, base="main", title=title, body="", author=fork, fork=fork
        )  # fmt: skip
        self.pulls[number] = pull
        self.look()
        return pull

    def files(self, pull: Pull) -> list[dict[str, str]]:
        """What a pull request changes, as GitHub lists it."""
        base = (pull.merged and self.git("rev-parse", f"{pull.merged}^1")) or self.tip(pull.base)
        found: list[dict[str, str]] = []
        for line in self.git("diff", "--name-status", "-M", f"{base}...{pull.head_sha}").splitlines():
            kind, *names = line.split("\t")
            status = {"A": "added", "D": "removed", "R": "renamed"}.get(kind[0], "modified")
            old = {"previous_filename": names[0]} if kind[0] == "R" else {}
            found.append({"filename": names[-1], "status": status, **old})
        return found

    def edit(self, number: int, **fields: str) -> Pull:
        """Change title, body, base or state.

        Raises:
            RefusedError: It can't be reopened.
        """
        self.look()
        pull = self.pulls[number]
        if fields.get("state") == "open" and pull.state != "open":
            self._require_reopenable(pull)
        for name in ("title", "body", "base", "state"):
            if name in fields:
                setattr(pull, name, fields[name])
        self.look()
        return pull

    def close(self, number: int) -> None:
        """A person closes a pull request."""
        self.edit(number, state="closed")

    def reopen(self, number: int) -> None:
        """A person reopens a pull request."""
        self.edit(number, state="open")

    def merge(self, number: int, how: str = "merge", by: str = "Ada <ada@example.com>") -> str:
        """A person merges a pull request by `merge`, `squash` or `rebase`; returns the new head of its base."""
        self.look()
        pull = self.pulls[number]
        if pull.state != "open":
            raise RefusedError(message="Pull Request is not mergeable")
        old = self.tip(pull.base)
        with self._work(old, by, committer=WEB) as (work, environ):
            if how == "merge":
                message = f"Merge pull request #{number} from {self.home.partition('/')[0]}/{pull.head}\n\n{pull.title}"
                run("merge", "-q", "--no-ff", "-m", message, pull.head_sha, cwd=work, environ=environ)
            elif how == "squash":
                run("merge", "-q", "--squash", pull.head_sha, cwd=work, environ=environ)
                run("commit", "-q", "-m", self._squashed(pull, old), cwd=work, environ=environ)
            else:
                run("cherry-pick", f"{pull.base}..{pull.head_sha}", cwd=work, environ=environ)
            new = self._land(pull.base, work, old)
        pull.state, pull.merged = "closed", new
        if self.drop_merged:
            self.remove(pull.head)
        return new

    def _squashed(self, pull: Pull, base: str) -> str:
        """GitHub's default: of one commit its own message, of several the title and a list."""
        commits = self.git("rev-list", "--reverse", f"{base}..{pull.head_sha}").split()
        if len(commits) == 1:
            message = self.git("log", "-1", "--format=%B", commits[0])
            subject, _, rest = message.partition("\n")
            return f"{subject} (#{pull.number})\n{rest}"
        subjects = [f"* {self.git('log', '-1', '--format=%s', commit)}" for commit in commits]
        return "\n\n".join([f"{pull.title} (#{pull.number})", *subjects])

    def _require_reopenable(self, pull: Pull) -> None:
        tip = self.tip(pull.head)
        if pull.merged:
            what = "state cannot be changed. The pull request is merged."
        elif not tip:
            what = f"state cannot be changed. The {pull.head} branch has been deleted."
        elif not self.contains(tip, pull.head_sha):
            what = f"state cannot be changed. The {pull.head} branch was force-pushed or recreated."
        else:
            return
        raise RefusedError(resource="PullRequest", code="invalid", field="state", message=what)

    @contextmanager
    def _work(self, start: str, by: str, *, committer: str = "") -> Iterator[tuple[Path, dict[str, str]]]:
        """A throw-away clone at a commit, and who works in it."""
        with tempfile.TemporaryDirectory(prefix="forge-") as folder:
            work = Path(folder)
            run("init", "-q", "--template=", "--initial-branch=work", str(work))
            alternates = work / ".git" / "objects" / "info" / "alternates"
            alternates.parent.mkdir(exist_ok=True)
            alternates.write_text(f"{self.git_dir / 'objects'}\n")
            if start:
                run("reset", "-q", "--hard", start, cwd=work)
            for ref in self.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads").splitlines():
                commit, name = ref.split(" ")
                run("update-ref", name, commit, cwd=work)
            yield work, _people(by, committer or by)

    def _land(self, branch: str, work: Path, old: str) -> str:
        new = run("rev-parse", "HEAD", cwd=work)
        run("-c", "core.hooksPath=/dev/null", "fetch", "-q", str(work), new, cwd=self.git_dir)
        self.git("update-ref", f"refs/heads/{branch}", new, old or "0" * 40)
        self.look()
        return new


def _people(author: str, committer: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, who in (("AUTHOR", author), ("COMMITTER", committer)):
        name, _, mail = who.partition(" <")
        found |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": mail.removesuffix(">")}
    return found


def run(*arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run git, apart from the configuration of whoever runs the tests; returns stdout."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    mine |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C", **(environ or {})}
    done = subprocess.run(["git", *arguments], cwd=cwd, env=mine, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip() if done.returncode == 0 else ""
