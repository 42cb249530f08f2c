from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import BugError, InputError
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, ProxyReceipt
from reconciler.record.form import key_of, parse_proxy, path_of
from tests.record.conftest import draft, live

COMMIT = "1" * 40


@given(view=st.text(), detail=st.text(), outcome=st.sampled_from(OutcomeKind))
def test_every_text_survives_its_file(view: str, detail: str, outcome: OutcomeKind) -> None:
    """Envoy's words, however odd, are read back as they were written, so an equal state is an equal file."""
    receipt = ProxyReceipt(view=view, proof="exact", outcome=outcome, detail=detail)
    path, content = next(iter(draft(COMMIT, proxies={Key("default", "a"): receipt}).files().items()))

    assert parse_proxy(content, path=path, commit=COMMIT) == receipt


def test_words_that_are_no_unicode_are_shown() -> None:
    """Bytes that could not be decoded reach the file as escapes instead of failing the receipt."""
    content = draft(COMMIT, proxies={Key("default", "a"): live(detail="a\udcffb")}).files()["proxies/default/a.yaml"]

    assert parse_proxy(content, path="x", commit=COMMIT).detail == "a\\udcffb"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "-a", ".git", "a.", "a b", "a\nb", "é", "a" * 254, "a\0"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    """Neither a proxy nor a namespace can name a path outside its folder."""
    for key in (Key(name, "a"), Key("a", name)):
        with pytest.raises(InputError, match="can't be the name"):
            path_of(key)


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True))
def test_paths_and_keys_are_inverse(name: str) -> None:
    """Every name that Kubernetes allows has one path, which leads back to it."""
    key = Key("default", name)
    assert key_of(path_of(key)) == key


@pytest.mark.parametrize(
    "path", ["proxies/a.yaml", "proxies/a/b", "other/a/b.yaml", "proxies/a/b/c.yaml", "proxies/../b.yaml"]
)
def test_paths_of_nobody(path: str) -> None:
    """A file in the wrong place belongs to no proxy."""
    assert key_of(path) is None


def test_a_subject_is_one_line() -> None:
    """Line breaks in a subject can't turn into trailers."""
    message = draft(COMMIT, subject=f"a\n\nPolicy-Commit: {'2' * 40}\n").message()

    assert message.split("\n")[0] == f"a Policy-Commit: {'2' * 40}"
    assert message.split("\n")[1:3] == ["", f"Policy-Commit: {COMMIT}"]


@pytest.mark.parametrize("wrong", [{"subject": " "}, {"policy_commit": "main"}, {"plan_digest": "x\ny"}])
def test_a_draft_that_could_not_be_read_back_is_never_written(wrong: dict[str, str]) -> None:
    """A receipt without a subject, commit or digest is our own mistake."""
    with pytest.raises(BugError):
        replace(draft(COMMIT), **wrong).message()  # type: ignore[arg-type]


def test_a_fleet_without_proxies_is_applied() -> None:
    """Nothing to do is done."""
    empty = draft(COMMIT, proxies={})
    assert (empty.outcome, "Proxies: 0/0" in empty.message(), empty.files()) == ("applied", True, {})
