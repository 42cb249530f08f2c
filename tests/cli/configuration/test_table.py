"""The table of settings: every field of the model, named and explained once."""

from __future__ import annotations

import pytest

from reconciler.cli.configuration import assembled, in_force, table
from reconciler.cli.configuration.kinds import FILE
from reconciler.errors import UsageError
from reconciler.settings import AdsSettings, Identity, Settings, Signing

SETTINGS = tuple(table().values())


def test_every_setting_has_names_of_its_own_and_a_meaning() -> None:
    """No two settings share a flag, a variable or a key, and none is without a line of documentation."""
    for names in zip(*((item.flag, item.variable, item.key, item.parameter) for item in SETTINGS), strict=True):
        assert len(set(names)) == len(names)
    assert [item.path for item in SETTINGS if not item.meaning.endswith(".")] == []


def test_the_names_that_are_in_use_stay() -> None:
    """What people have in their units and scripts goes on working."""
    known = {item.flag: item.variable for item in SETTINGS}
    for name in (
        *("repo", "ref", "author", "committer", "signing-key", "signing-format", "cache", "ads", "ads-cert", "ads-key"),
        *("ads-ca", "http", "admin-timeout", "admin-cert", "admin-key", "admin-ca"),
    ):
        assert known[f"--{name}"] == f"RECONCILE_{name.replace('-', '_').upper()}"
    assert {"--ads-identity", "--ads-plaintext", "--interval", "--drift-interval", "--daemon"} <= known.keys()


def test_what_is_secret_is_only_the_name_of_a_file() -> None:
    """A token on a command line can be seen by every process, so there is no setting that holds one."""
    secret = [
        item for item in SETTINGS if any(word in item.path for word in ("token", "ssh_key", "http.key", "ads.key"))
    ]
    assert secret
    assert [item.path for item in secret if item.kind is not FILE] == []


def test_without_a_word_everything_is_as_the_model_says() -> None:
    """The defaults of the classes are the only ones."""
    assert assembled(in_force(flags={}, environ={})) == Settings()


def test_the_defaults_that_the_environment_decides_are_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is made once; where the user's cache is, is not."""
    table()
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert str(assembled(in_force(flags={}, environ={})).git.cache) == "/elsewhere/envoy-reconciler"


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("git.author", "A B <a@b>", Identity(name="A B", email="a@b")),
        ("git.push_attempts", "3", 3),
        ("git.timeout", "1m30s", 90.0),
        ("admin.verify", "no", False),
        ("http.webhooks", "github=/a plain=/b", {"github": "/a", "plain": "/b"}),
        ("ads.identities", "a b", ("a", "b")),
        ("log.format", "json", "json"),
    ],
)
def test_each_kind_is_read(path: str, text: str, value: object) -> None:
    """A flag and a variable are read by the same reader."""
    variable = table()[path].variable
    assert in_force(flags={path: text}, environ={})[path].value == value
    assert in_force(flags={}, environ={variable: text})[path].value == value


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("git.author", "somebody", "does not name a person"),
        ("git.push_attempts", "0", "not a positive whole number"),
        ("git.timeout", "0", "not longer than nothing"),
        ("git.timeout", "soon", "not a duration"),
        ("admin.verify", "perhaps", "neither true nor false"),
        ("http.webhooks", "github", "is not KIND=FILE"),
        ("http.webhooks", "github=/a github=/b", "given twice"),
        ("http.webhooks", "sourceforge=/a", "is not one of"),
        ("log.level", "loud", "is not one of"),
        ("forge.kind", "sourceforge", "is not one of"),
        ("daemon.socket", "", "names no file"),
    ],
)
def test_what_no_setting_takes_is_refused_by_the_name_it_was_given(path: str, text: str, words: str) -> None:
    """The message names the flag or the variable, whichever said it. An empty variable says nothing."""
    setting = table()[path]
    with pytest.raises(UsageError, match=words) as refused:
        in_force(flags={path: text}, environ={})
    assert refused.value.message.startswith(f"{setting.flag}: ")
    if text:
        with pytest.raises(UsageError, match=words) as refused:
            in_force(flags={}, environ={setting.variable: text})
        assert refused.value.message.startswith(f"{setting.variable}: ")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"ads.certificate": "a.pem"}, "need --ads"),
        ({"ads.plaintext": "true"}, "need --ads"),
        ({"ads.address": "15010"}, "not an address"),
        ({"ads.address": ":15010"}, "not an address"),
        ({"ads.address": "127.0.0.1:http"}, "not an address"),
        ({"ads.address": "127.0.0.1:99999"}, "not an address"),  # gRPC would take the rest of a division by 65536
        ({"ads.address": "127.0.0.1:1", "ads.identities": "{namespace}"}, "--ads-identity"),
        ({"admin.key": "k"}, "--admin-key without"),
        ({"http.tokens": "t"}, "need --http"),
        ({"http.address": "127.0.0.1:0", "http.key": "k"}, "--http-key without"),
        ({"http.address": "127.0.0.1:0", "http.anonymous": "true"}, "without --http-tokens"),
        ({"forge.kind": "github"}, "--forge needs"),
        ({"forge.repository": "a/b"}, "need --forge"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, str], words: str) -> None:
    """A setting that would be ignored is an error."""
    with pytest.raises(UsageError, match=words):
        assembled(in_force(flags=flags, environ={}))


def test_parts_are_put_together() -> None:
    """Signing is one thing of two settings, and the streams are served only where an address says so."""
    made = assembled(in_force(flags={"git.signing.key": "k", "ads.address": "127.0.0.1:0"}, environ={}))
    assert made.git.signing == Signing(format="ssh", key="k")
    assert made.ads == AdsSettings()
