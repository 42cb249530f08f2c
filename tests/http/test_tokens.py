"""Tokens from files: one token and nothing else, or an error that does not show what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.http import NoTokenError, read_token


@pytest.mark.parametrize("content", [b"abc.-~!", b"abc.-~!\n", b" \tabc.-~!\r\n"])
def test_a_token_is_read_without_the_space_around_it(tmp_path: Path, content: bytes) -> None:
    """Editors end files with a line break."""
    path = tmp_path / "token"
    path.write_bytes(content)
    assert read_token(path) == read_token(str(path)) == "abc.-~!"


@pytest.mark.parametrize(
    ("content", "empty"),
    [(b"", True), (b" \n", True), (b"a b", False), (b"a\nb", False), (b"\xff", False), (b"a" * 70_000, False)],
)
def test_what_is_not_one_token_is_none(tmp_path: Path, content: bytes, *, empty: bool) -> None:
    """It would break a header, or is another file."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(NoTokenError, match="does not hold one token") as caught:
        read_token(path)
    assert (caught.value.why, caught.value.empty) == ("", empty)


@pytest.mark.parametrize(("name", "why"), [("nothing", "No such file"), (".", "directory"), ("a\x00b", "null")])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, why: str) -> None:
    """In the system's words."""
    with pytest.raises(NoTokenError, match=why) as caught:
        read_token(f"{tmp_path}/{name}")
    assert caught.value.why
