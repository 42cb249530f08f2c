from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli import run


def test_usage_errors_are_errors_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown option, verb or value exits with 1 and says where help is."""
    for arguments in (["--bogus"], ["bogus"], ["--output", "xml"], ["render"], ["daemon", "--interval", "soon"]):
        assert run(arguments) == 1, arguments
        err = capsys.readouterr().err
        assert err.startswith("error[usage]: "), arguments
        assert "Traceback" not in err


def test_json_is_one_document_even_for_a_command_line_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong, `--output json` prints one document with a schema version on stdout."""
    for arguments in (
        ["--output", "json", "--bogus"],
        ["--bogus", "-o", "json"],
        ["--output=json", "--against", "x"],
        ["validate", "no-such-folder", "--output", "json"],
    ):
        assert run(arguments) == 1, arguments
        document = json.loads(capsys.readouterr().out)
        assert document["schema_version"] == 1
        assert [item["severity"] for item in document["errors"]] == ["error"]


def test_options_that_contradict_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A preview option without --dry-run would apply what was meant to be looked at."""
    for arguments in (
        ["--against", "main"],
        ["--work-tree"],
        ["--dry-run", "--plan-digest", "abc"],
        ["--plan-digest", ""],
        ["--select", "cluster/x", "--dry-run"],
        ["--author", "nobody"],
        ["--signing-format", "x"],
        ["--admin-timeout", "0s"],
        ["--admin-key", "key.pem"],
        ["--repo", "elsewhere", "status"],
        ["--dry-run", "daemon"],
    ):
        assert run(arguments) == 1, arguments
        assert "error[usage]" in capsys.readouterr().err, arguments


def test_version_and_help_need_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Both answer anywhere, also outside a repository."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("reconcile ")
    assert run(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out


def test_help_loads_no_room(tmp_path: Path) -> None:
    """Start-up stays fast because nothing is imported before it is known what is asked."""
    probe = (
        "import sys; from reconciler.cli import run; run(['--help']); "
        "print([name for name in ('git', 'requests', 'pydantic', 'deepdiff', 'apscheduler', 'google.protobuf', "
        "'fastapi', 'uvicorn', 'grpc') "
        "if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr.strip() == "[]"


def test_validate_shows_places_that_can_be_opened_from_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of policies and the root of a policy repository both work, and paths start where the user stands."""
    (tmp_path / "repo" / "policies").mkdir(parents=True)
    (tmp_path / "repo" / "policies" / "a.yaml").write_text("a: [\n")
    monkeypatch.chdir(tmp_path)
    for given in ("repo", "repo/policies"):
        assert run(["validate", given]) == 1
        assert "repo/policies/a.yaml:" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "repo")
    assert run(["validate"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("policies/a.yaml:")
    assert out.endswith("1 error, 0 warnings\n")
    (tmp_path / "repo" / "policies" / "a.yaml").write_text("")
    assert run(["validate"]) == 0
    assert capsys.readouterr().out == "The policies are valid.\n"
