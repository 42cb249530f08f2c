"""The settings file: what it may say, and how its mistakes are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.configuration import assembled, in_force, table
from reconciler.cli.configuration.file import MAX_BYTES, SettingsFileError, read_file
from reconciler.cli.configuration.showing import shown
from reconciler.errors import InputError, UsageError
from reconciler.settings import Identity, Settings, Signing

WHOLE = """\
repo: https://git.example.com/team/policies.git
git:
  author: A B <a@b>
  signing: {format: openpgp, key: ABCD}
  timeout: 30s
  pushAttempts: 3
admin:
http:
  address: 127.0.0.1:0
  tokens: /etc/tokens
  webhooks:
    github: /etc/secret
ads:
  address: 127.0.0.1:15010
  clientCa: /etc/ca.pem
  identities: ["spiffe://a/{name}"]
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "settings.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_says_what_flags_say(tmp_path: Path) -> None:
    """Keys are the fields of the model, as YAML writes names."""
    made = assembled(in_force(flags={}, environ={}, file=read_file(written(tmp_path, WHOLE))))
    assert made.git.author == Identity(name="A B", email="a@b")
    assert made.git.signing == Signing(format="openpgp", key="ABCD")
    assert (made.git.timeout, made.git.push_attempts) == (30.0, 3)
    assert made.http.webhooks == {"github": "/etc/secret"}
    assert (made.ads.client_ca, made.ads.identities) == ("/etc/ca.pem", ("spiffe://a/{name}",))


@pytest.mark.parametrize("text", ["", "# nothing\n", "git:\n"])
def test_a_file_may_say_nothing(tmp_path: Path, text: str) -> None:
    """An empty file, or an empty section, leaves everything as it is."""
    assert assembled(in_force(flags={}, environ={}, file=read_file(written(tmp_path, text)))) == Settings()


def test_who_wins(tmp_path: Path) -> None:
    """A flag before a variable, a variable before the file, the file before the default; each is named."""
    path = written(tmp_path, "ref: file\nrepo: file\ngit:\n  timeout: 1s\n")
    found = in_force(
        flags={"ref": "flag"}, environ={"RECONCILE_REF": "env", "RECONCILE_REPO": "env"}, file=read_file(path)
    )
    said = {
        name: (found[name].value, found[name].source) for name in ("ref", "repo", "git.timeout", "git.push_attempts")
    }
    assert said == {
        "ref": ("flag", "--ref"),
        "repo": ("env", "RECONCILE_REPO"),
        "git.timeout": (1.0, f"{path}:4:12"),
        "git.push_attempts": (20, "default"),
    }


@pytest.mark.parametrize(
    ("text", "line", "column", "code", "words"),
    [
        ("repos: x\n", 1, 1, "settings-key", "repos is no setting"),
        ("git:\n  tokenfile: x\n", 2, 3, "settings-key", "git.tokenfile is no setting"),
        ("git.timeout: 1s\n", 1, 1, "settings-key", "git.timeout is no setting"),
        ("git: 3\n", 1, 6, "settings-value", "git is a mapping of settings"),
        ("ref: 3\n", 1, 6, "settings-value", "3 is no text; put it in quotes"),
        ("ref:\n", 1, 5, "settings-value", "nothing is no text"),
        ("git: {timeout: 10}\n", 1, 16, "settings-value", "10 has no unit; write 10s"),
        ("git: {timeout: '10'}\n", 1, 16, "settings-value", "10 has no unit; write 10s"),
        ("git: {timeout: 0}\n", 1, 16, "settings-value", "0 is not longer than nothing"),
        ("git: {timeout: 1.5}\n", 1, 16, "settings-value", "1.5 is no text"),
        ("git: {pushAttempts: '3'}\n", 1, 21, "settings-value", "'3' is not a positive whole number"),
        ("admin: {verify: 1}\n", 1, 17, "settings-value", "1 is neither true nor false"),
        ("ads: {identities: a}\n", 1, 19, "settings-value", "'a' is no list"),
        ("ads: {identities: [1]}\n", 1, 19, "settings-value", "1 is no text"),
        ("http: {webhooks: [a]}\n", 1, 18, "settings-value", "a list is no mapping of kinds"),
        ("http: {webhooks: {a: b}}\n", 1, 18, "settings-value", "'a' is not one of"),
        ("log: {level: {}}\n", 1, 14, "settings-value", "a mapping is no text"),
        ("daemon: {socket: ''}\n", 1, 18, "settings-value", "names no file"),
        ("a: &a [", 1, None, "yaml-syntax", ""),
    ],
)
def test_a_mistake_is_shown_at_its_place(
    tmp_path: Path, text: str, line: int, column: int | None, code: str, words: str
) -> None:
    """Every mistake has its line and column, as in policies."""
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        read_file(path)
    (found,) = refused.value.diagnostics
    assert (found.file, found.code) == (str(path), code)
    assert words in found.message
    if column is not None:
        assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize(
    ("flags", "text", "place", "words"),
    [
        (
            {},
            "log: {level: info}\nhttp: {tokens: /x}\n",
            (2, 16),
            "http.tokens and the other settings of HTTP need --http",
        ),
        ({}, "ads: {address: '{x}'}\n", (1, 16), "ads.address '{x}' is not an address"),
        ({}, "forge: {kind: github}\n", (1, 15), "forge.kind needs --forge-repository"),
        ({"http.tokens": "/x"}, "", (None, None), "--http-tokens and the other settings of HTTP need --http"),
    ],
)
def test_a_contradiction_is_shown_where_it_was_written(
    tmp_path: Path, flags: dict[str, str], text: str, place: tuple[int | None, int | None], words: str
) -> None:
    """By the name that whoever wrote it knows the setting by."""
    found = in_force(flags=flags, environ={}, file=read_file(written(tmp_path, text)))
    with pytest.raises(UsageError) as refused:
        assembled(found)
    (said,) = refused.value.diagnostics
    assert (said.line, said.column) == place
    assert said.message.startswith(words)


def test_all_mistakes_are_shown_at_once(tmp_path: Path) -> None:
    """Nobody mends a file one line a run. A key that is nearly right is suggested."""
    with pytest.raises(SettingsFileError) as refused:
        read_file(written(tmp_path, "git: {timout: 1s}\nrefs: x\nads: {plaintext: 'no'}\n"))
    assert [item.line for item in refused.value.diagnostics] == [1, 2, 3]
    assert refused.value.diagnostics[0].hint == "did you mean timeout?"


@pytest.mark.parametrize(
    ("text", "words"),
    [("- a\n", "no mapping"), ("a: 1\n---\nb: 1\n", "2 documents"), (b"#" * (MAX_BYTES + 1), "more than")],
)
def test_what_is_no_settings_file_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    """One document, a mapping, of a size that a person wrote."""
    with pytest.raises(SettingsFileError, match=words):
        read_file(written(tmp_path, text))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A daemon never runs with other settings than those it was given."""
    with pytest.raises(SettingsFileError, match="can't be read: No such file"):
        read_file(tmp_path / "nowhere.yaml")


def test_what_is_printed_is_a_settings_file_that_says_the_same(tmp_path: Path) -> None:
    """The print of what is in force can be given back as a file; each value has its source beside it."""
    first = in_force(flags={"log.level": "debug"}, environ={}, file=read_file(written(tmp_path, WHOLE)))
    text = shown(first)
    again = in_force(flags={}, environ={}, file=read_file(written(tmp_path, text)))
    assert assembled(again) == assembled(first)
    assert "  level: debug  # --log-level\n" in text
    assert f"  pushAttempts: 3  # {tmp_path}/settings.yaml:6:17\n" in text
    assert len([line for line in text.splitlines() if "  # " in line]) == len(table())


def test_what_is_printed_has_no_password() -> None:
    """A URL may carry one."""
    found = in_force(flags={"repo": "https://me:hunter2@git.example.com/p.git"}, environ={})
    assert "hunter2" not in shown(found)
    assert "https://git.example.com/p.git" in shown(found)
