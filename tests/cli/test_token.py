from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.app import main
from reconciler.web import Role, read_tokens


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(item) for item in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_token_is_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown once, on stdout alone; the file and the list know it only by its id."""
    file = tmp_path / "tokens"
    code, out, err = run(
        capsys, "token", "create", "Ada L <ada@x.test>", "--tokens", file, "--role", "read", "--role", "operate"
    )  # fmt: skip
    (token,) = read_tokens(file)
    assert code == 0
    assert token.is_shown_by(out.rstrip("\n"))
    assert err == f"{token.id}: operate, read for Ada L <ada@x.test>; it is not shown again\n"
    assert token.roles == frozenset({Role.READ, Role.OPERATE})
    assert (token.name, token.email) == ("Ada L", "ada@x.test")
    assert out.strip() not in file.read_text()
    code, out, _ = run(capsys, "token", "list", "--tokens", file)
    assert (code, out) == (0, f"{token.id}  operate, read  Ada L <ada@x.test>  without an end\n")
    code, out, _ = run(capsys, "token", "revoke", token.id, "--tokens", file)
    assert (code, out) == (0, f"{token.id} of Ada L <ada@x.test> is revoked\n")
    assert run(capsys, "token", "list", "--tokens", file)[1] == ""


def test_tokens_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document on every path, errors included."""
    file = tmp_path / "tokens"
    at = ("--tokens", file, "--output", "json")
    made = json.loads(run(capsys, "token", "create", "A <a@x.test>", "--role", "read", "--expires", "24h", *at)[1])
    (token,) = read_tokens(file)
    assert token.is_shown_by(made.pop("token"))
    assert token.expires is not None
    assert token.created is not None
    assert (token.expires - token.created).days == 1
    assert json.loads(run(capsys, "token", "list", *at)[1]) == {
        "schema_version": 1, "tokens": [{key: made[key] for key in made if key != "schema_version"}],
    }  # fmt: skip
    assert json.loads(run(capsys, "token", "revoke", token.id, *at)[1]) == made
    code, out, _ = run(capsys, "token", "revoke", token.id, *at)
    assert (code, json.loads(out)["errors"][0]["code"]) == (1, "token-unknown")


@pytest.mark.parametrize(
    "wrong",
    [
        ("create", "Ada", "--role", "read"), ("create", "A <a@x.test>", "--role", "root"), ("create", "A <a@x.test>"),
        ("create", "A <a@x.test>", "--role", "read", "--expires", "soon"), ("list", "--output", "markdown"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_token_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, ...]
) -> None:
    """A usage error, and no file."""
    code, out, err = run(capsys, "token", *wrong, "--tokens", tmp_path / "tokens")
    assert code == 1
    assert "usage" in out + err
    assert not (tmp_path / "tokens").exists()
