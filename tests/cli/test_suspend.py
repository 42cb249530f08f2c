"""`reconcile suspend` and `resume`: one commit each, by who asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import run
from tests.e2e.rig import GATEWAY, MESH, ROUTES, SERVICE, git


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, and Ann at the terminal."""
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ann")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ann@example.com")
    git("init", "-q", "-b", "main", str(tmp_path))
    (tmp_path / "policies").mkdir()
    gateway = GATEWAY % {"name": "edge", "port": 8080, "admin": "/run/edge.sock", "directory": "/var/lib/edge"}
    files = {"mesh": MESH, "details": SERVICE % {"v1": 81, "v2": 82}, "routes": ROUTES % {"v1": 100, "v2": 0}}
    for name, text in {**files, "edge": gateway}.items():
        (tmp_path / f"policies/{name}.yaml").write_text(text, encoding="utf-8")
    git("-C", str(tmp_path), "add", "-A")
    git("-C", str(tmp_path), "commit", "-q", "-m", "Start")
    return tmp_path


def log(repo: Path, form: str) -> str:
    return git("-C", str(repo), "log", "-1", f"--format={form}").strip()


def test_suspending_and_resuming_leave_no_trace_but_two_commits(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is the same to the byte, by Ann, with subjects that say why and until when."""
    before = (repo / "policies/mesh.yaml").read_bytes()
    assert run(["suspend", "--reason", "incident 7", "--until", "2999-01-01T01:00:00+01:00", "--repo", str(repo)]) == 0
    assert capsys.readouterr().out == (
        f"suspend is {log(repo, '%H')[:10]} on main; the next pass acts on it\n"
        "changes are suspended until 2999-01-01T00:00:00Z\n"
    )
    assert log(repo, "%an %s") == "Ann mesh: suspend changes until 2999-01-01T00:00:00Z: incident 7"
    assert log(repo, "%(trailers:only)") == "Mesh-Command: suspend"
    text = (repo / "policies/mesh.yaml").read_text(encoding="utf-8")
    assert 'by: "Ann"' in text or "by: Ann" in text
    assert run(["validate", str(repo)]) == 0
    capsys.readouterr()
    run(["status", "--repo", str(repo)])
    held = "held      changes are suspended by Ann until 2999-01-01T00:00:00Z: incident 7"
    assert held in capsys.readouterr().out.splitlines()
    assert run(["resume", "--repo", str(repo)]) == 0
    assert log(repo, "%s") == "mesh: resume changes"
    assert (repo / "policies/mesh.yaml").read_bytes() == before
    capsys.readouterr()
    assert run(["resume", "--repo", str(repo)]) == 1
    assert "error[suspension]: the mesh is not suspended" in capsys.readouterr().err


def test_what_a_suspension_replaces_is_said(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the reply and in the commit, whether it makes it longer or shorter; one that has ended is replaced without a word."""
    assert run(["suspend", "--reason", "a drill", "--until", "2999-01-01T00:00:00Z", "--repo", str(repo)]) == 0
    capsys.readouterr()
    assert run(["suspend", "--reason", "incident 8", "--repo", str(repo)]) == 0
    words = "replaces a suspension by Ann until 2999-01-01T00:00:00Z (a drill)"
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"changes are suspended until somebody resumes them; this {words}"]
    assert log(repo, "%b") == f"incident 8\n\nR{words[1:]}.\n\nMesh-Command: suspend"
    assert run(["suspend", "--reason", "x", "--for", "2h", "--dry-run", "--output", "json", "--repo", str(repo)]) == 0
    note = json.loads(capsys.readouterr().out)["note"]
    assert note.endswith("; this replaces a suspension by Ann until somebody resumes them (incident 8)")
    mesh = repo / "policies/mesh.yaml"
    mesh.write_text(MESH.replace("{verify", "{suspend: {reason: x, until: '2001-01-01T00:00:00Z'}, verify"))
    git("-C", str(repo), "commit", "-q", "-am", "Over")
    assert run(["suspend", "--reason", "y", "--repo", str(repo)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["changes are suspended until somebody resumes them"]


def test_a_dry_run_shows_the_change_and_writes_nothing(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a patch, or in JSON with it."""
    before = log(repo, "%H")
    assert run(["suspend", "--reason", "x", "--for", "2h", "--dry-run", "--repo", str(repo)]) == 0
    assert "--- a/policies/mesh.yaml" in capsys.readouterr().out
    assert run(["suspend", "--reason", "x", "--dry-run", "--output", "json", "--repo", str(repo)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["command"], said["commit"], said["errors"]) == ("suspend", None, [])
    assert "suspend" in said["diff"]
    assert log(repo, "%H") == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--reason", " "], "--reason is empty"),
        (["--reason", "x", "--for", "2h", "--until", "2999-01-01T00:00:00Z"], "both say when it ends"),
        (["--reason", "x", "--until", "tomorrow"], "is no end"),
        (["--reason", "x", "--until", "2999-01-01T00:00:00"], "has no time zone"),
        (["--reason", "x", "--until", "2001-01-01T00:00:00Z"], "is over"),
        (["--reason", "x", "--for", "0s"], "not longer than nothing"),
        (["--reason", "x", "--for", "99999999999h"], "too long a duration"),
        (["--reason", "x", "--output", "markdown"], "text or JSON"),
    ],
)
def test_what_makes_no_sense_is_refused(
    repo: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    """Before anything is written."""
    assert run(["suspend", *options, "--repo", str(repo)]) == 1
    said = capsys.readouterr()
    assert words in said.err + said.out
    assert log(repo, "%s") == "Start"


def test_a_dry_run_without_a_mesh_is_a_patch_that_makes_its_file(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And that of `resume` takes it away again: `git apply` takes both, as it takes every other."""
    git("-C", str(repo), "rm", "-q", "policies/mesh.yaml")
    git("-C", str(repo), "commit", "-q", "-m", "No mesh")
    for verb in (["suspend", "--reason", "x"], ["resume"]):
        assert run([*verb, "--dry-run", "--repo", str(repo)]) == 0
        (repo / "patch").write_text(capsys.readouterr().out, encoding="utf-8")
        git("-C", str(repo), "apply", "--index", str(repo / "patch"))
        git("-C", str(repo), "commit", "-q", "-m", "By hand")
    assert git("-C", str(repo), "diff", "HEAD~2", "--stat") == ""
