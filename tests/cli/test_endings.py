"""How a command ends when something goes wrong that no room has a name for, or when somebody ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli import run
from tests.e2e.rig import clean_environment, git

PRELUDE = "import sys; from reconciler import cli\n"
POLICY = "apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\nspec: {}\n"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "mesh.yaml").write_text(POLICY)
    return tmp_path


def shell(line: str, where: Path) -> subprocess.CompletedProcess[str]:
    """A line as a user types it, with `$RECONCILE` for the command; its exit codes are in what it prints."""
    environment = clean_environment() | {"RECONCILE": f"{sys.executable} -m reconciler"}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, cwd=where, env=environment, timeout=60
    )


def test_a_fault_of_our_own_is_an_error_of_the_contract(
    policies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody expects is `error[bug]` with its place in our code and exit 1, in every form."""
    from reconciler.cycle import Compiler

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by a\x1b[31mnought")

    monkeypatch.setattr(Compiler, "desired", broken)
    assert run(["validate", str(policies)]) == 1
    text = capsys.readouterr().err
    assert text.startswith("error[bug]: ZeroDivisionError: by a\\x1b[31mnought at reconciler/cli/validate.py:")
    assert "report" in text
    assert run(["validate", str(policies), "--output", "json"]) == 1
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert error["code"] == "bug"
    assert run(["validate", str(policies), "-o", "markdown"]) == 1
    assert "<code>bug</code>" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_command_that_is_ended_leaves_the_shells_code_and_a_document(policies: Path, number: signal.Signals) -> None:
    """SIGINT and SIGTERM in the middle of a command: no traceback, 128 plus the number, and JSON stays JSON."""
    for form in ("json", "text"):
        ending = PRELUDE + (
            "import os\n"
            "from reconciler.cycle import Compiler\n"
            f"Compiler.desired = lambda *_: os.kill(os.getpid(), {int(number)}) or __import__('time').sleep(20)\n"
            f"sys.exit(cli.run(['validate', '.', '--output', '{form}']))\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", ending], capture_output=True, text=True, check=False, cwd=policies, timeout=60
        )
        assert ended.returncode == 128 + number, ended.stderr
        assert "Traceback" not in ended.stderr
        if form == "json":
            (error,) = json.loads(ended.stdout)["errors"]
            assert (error["code"], error["message"]) == ("interrupted", f"ended by {number.name}")
        else:
            assert ended.stdout == ""


@pytest.mark.long
def test_a_reader_that_goes_away_is_no_fault(policies: Path) -> None:
    """`| head -1` ends the command as the shell expects, with nothing on stderr, also for the help."""
    for arguments in ("validate", "validate -o json", "--help", "--version", "--bogus -o json"):
        ended = shell(f"(sleep 0.2; $RECONCILE {arguments}; echo code $? >&2) | true", policies)
        assert ended.stderr in {"code 141\n", "\ncode 141\n"}, (arguments, ended.stderr)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_output_that_cannot_be_written_is_an_error_on_stderr(policies: Path) -> None:
    """A full disk behind stdout: exit 1 and one line that says so; a document that was cut off never counts as done."""
    for arguments in ("validate", "validate -o json", "--version"):
        ended = shell(f"$RECONCILE {arguments} >/dev/full; echo code $?", policies)
        assert ended.stdout == "code 1\n"
        assert ended.stderr == "error[output]: standard output can't be written: No space left on device\n", arguments


@pytest.mark.long
def test_closed_streams_change_nothing(policies: Path) -> None:
    """Without stdin, stdout or stderr a command works and keeps its exit code; no file takes their place."""
    git("init", "-q", "-b", "main", str(policies))
    git("-C", str(policies), "add", "-A")
    git("-C", str(policies), "commit", "-q", "-m", "Start")
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        ended = shell(f"($RECONCILE {closed}); echo code $?", policies)
        assert ended.stdout.endswith("code 0\n"), (closed, ended)
        assert ended.stderr == "", closed


def test_a_terminal_that_lacks_a_character_shows_it_escaped(policies: Path) -> None:
    """Output is never lost because of the encoding of where it goes."""
    (policies / "policies" / "mesh.yaml").write_text(POLICY.replace("kind: Mesh", "kind: Méšh"), encoding="utf-8")
    ended = shell("PYTHONIOENCODING=ascii PYTHONUTF8=0 $RECONCILE validate; echo code $?", policies)
    assert "M\\xe9\\u0161h" in ended.stdout
    assert ended.stdout.endswith("code 1\n")
    assert ended.stderr == ""


def test_a_machine_without_git_is_told_to_install_it(policies: Path) -> None:
    """No git on PATH is an error of the contract; `validate` does not even need it."""
    bare = {name: value for name, value in clean_environment().items() if name != "PATH"} | {"PATH": "/nonexistent"}
    command = [sys.executable, "-m", "reconciler"]
    ended = subprocess.run(
        [*command, "--dry-run", "-o", "json"], capture_output=True, text=True, check=False, cwd=policies, env=bare
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    assert [item["code"] for item in json.loads(ended.stdout)["errors"]] == ["git-not-found"]
    valid = subprocess.run([*command, "validate"], capture_output=True, text=True, check=False, cwd=policies, env=bare)
    assert (valid.returncode, valid.stderr) == (0, "")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_broken_installation_is_a_diagnostic_too(policies: Path, form: str) -> None:
    """When even what prints errors can't be loaded, the reason is said without it, and JSON is JSON."""
    broken = (
        "import sys; sys.modules['reconciler.plan'] = None\n"
        f"from reconciler import cli; sys.exit(cli.run(['validate', '--output', '{form}']))"
    )
    ended = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, check=False, cwd=policies)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    said = json.loads(ended.stdout)["errors"][0]["message"] if form == "json" else ended.stderr
    assert "reconciler.plan" in said
