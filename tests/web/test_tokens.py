from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.web import (
    Rate,
    Role,
    TokenFile,
    TokensFileError,
    TokensFormatError,
    TokensWriteError,
    UnknownTokenError,
    add_token,
    mint,
    read_tokens,
    revoke_token,
)
from reconciler.web.access.limits import Buckets, network_of
from reconciler.web.access.sessions import Sessions
from reconciler.web.access.tokens import Token, id_of, parse
from tests.web.doors import HandClock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def made(name: str = "Ada", **more: datetime) -> tuple[str, Token]:
    return mint(name=name, email="a@x.test", roles=[Role.READ], created=NOW, **more)


PEOPLE = st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="<>"), min_size=1, max_size=40)


@given(name=PEOPLE, roles=st.sets(st.sampled_from(list(Role)), min_size=1), days=st.none() | st.integers(0, 4000))
def test_a_token_is_read_as_it_was_written(name: str, roles: set[Role], days: int | None) -> None:
    """What one version writes down, whoever's name it is, is what is read again."""
    ends = None if days is None else NOW + timedelta(days=days)
    shown, token = mint(name=name, email="a@x.test", roles=roles, created=NOW, expires=ends)
    assert parse(token.line(), file="t") == (token,)
    assert id_of(shown) == token.id
    assert token.is_shown_by(shown)
    assert shown not in token.line()


def test_a_token_is_shown_by_nothing_else() -> None:
    """Not by another, by a part of it, by its hash, or by something longer."""
    shown, token = made()
    for other in (made()[0], shown[:-1], shown + "x", token.sha256, "", "\udcff", shown.upper()):
        assert not token.is_shown_by(other)
    assert [id_of(text) for text in ("", "rec_", "rec_../x_" + "a" * 43, "rec_a_b", "x" + shown)] == [""] * 5


@pytest.mark.parametrize(
    "change",
    [
        {"id": "A"}, {"id": 5}, {"sha256": "00"}, {"roles": []}, {"roles": ["root"]}, {"roles": "read"}, {"name": "a\nb"}, {"email": "<x>"},
        {"expires": "tomorrow"}, {"expires": "2026-01-01"}, {"expires": 5}, {"more": 1}, {"roles": [["read"]]},
    ],
    ids=str,
)  # fmt: skip
def test_a_line_that_is_no_token_is_an_error_at_its_place(change: dict[str, object]) -> None:
    """A tokens file is all understood, or nobody is let in by it; what it holds is not repeated."""
    good = made()[1].line()
    bad = json.dumps(json.loads(made()[1].line()) | change)
    with pytest.raises(TokensFormatError) as raised:
        parse(f"# mine\n\n{good}\n{bad}\n{{\n{good}\nrec_secret\n", file="tokens")
    assert [(item.file, item.line) for item in raised.value.diagnostics] == [("tokens", line) for line in (4, 5, 6, 7)]
    assert "rec_secret" not in str(raised.value)


def test_changes_keep_every_other_line(tmp_path: Path) -> None:
    """A comment that somebody wrote and lines of other tokens stay byte for byte; the mode is 0600 from the start."""
    file = tmp_path / "tokens"
    first, second = made("One")[1], made("Two")[1]
    add_token(file, first)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    odd = "  " + made("Odd")[1].line().replace(", ", " ,  ")
    file.write_text(f"# who: ops\n\n{first.line()}\n{odd}")
    add_token(file, second)
    assert file.read_text() == f"# who: ops\n\n{first.line()}\n{odd}\n{second.line()}\n"
    assert revoke_token(file, first.id) == first
    assert file.read_text() == f"# who: ops\n\n{odd}\n{second.line()}\n"
    with pytest.raises(UnknownTokenError):
        revoke_token(file, first.id)
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


def test_two_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each change is made to the file as the other left it."""
    file = tmp_path / "tokens"
    tokens = [made(str(number))[1] for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda token: add_token(file, token), tokens))
    assert sorted(token.id for token in read_tokens(file)) == sorted(token.id for token in tokens)


def test_a_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    """A token that is taken out ends at once, and one that is put in counts at once."""
    path = tmp_path / "tokens"
    token = made()[1]
    add_token(path, token)
    file = TokenFile(path)
    assert file.tokens() == {token.id: token}
    assert file.tokens() is file.tokens()
    revoke_token(path, token.id)
    assert file.tokens() == {}


def test_a_file_that_cannot_be_used_lets_nobody_in(tmp_path: Path) -> None:
    """Gone, broken, not text, too large or writable by others: what was read before does not count any more."""
    path = tmp_path / "tokens"
    token = made()[1]
    add_token(path, token)
    file = TokenFile(path)
    file.tokens()
    for content in (b"{", b"\xff", b"#" * (4 << 20) + b"#"):
        path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(TokensFileError):
                file.tokens()
    path.write_text(token.line())
    assert token.id in file.tokens()
    path.chmod(0o620)
    with pytest.raises(TokensFileError, match="others may write"):
        file.tokens()
    path.unlink()
    with pytest.raises(TokensFileError, match="can't be read"):
        file.tokens()
    with pytest.raises(TokensWriteError):
        add_token(tmp_path / "no" / "tokens", token)


def test_a_bucket_gives_what_it_has_and_says_when_there_is_more() -> None:
    """A burst, then a rate; who asks too early is told how long it takes, and pays nothing for asking."""
    clock = HandClock()
    buckets = Buckets(Rate(burst=3, per_second=0.5), clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 2]
    assert buckets.take("b") == 0, "another key has a bucket of its own"
    clock.since += timedelta(seconds=2)
    assert [buckets.take("a"), buckets.take("a")] == [0, 2]
    clock.since += timedelta(hours=1)
    assert [buckets.take("a", 3), buckets.take("a")] == [0, 2], "it does not fill beyond its size"


def test_buckets_are_bounded() -> None:
    """A stranger with many addresses costs a bounded amount of memory."""
    buckets = Buckets(Rate(burst=1, per_second=1), HandClock(), most=10)
    for number in range(1000):
        assert buckets.take(str(number)) == 0
    assert len(buckets._levels) == 10


def test_a_network_of_one_owner_is_one_peer() -> None:
    """Who has 2**64 addresses has one bucket; a mapped IPv4 address is that address."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("") == ""


def test_sessions_end_and_are_bounded() -> None:
    """Twelve hours, or with the token; the oldest goes where there are too many of one token or of all."""
    clock = HandClock()
    sessions = Sessions(clock, most=4, of_one=2)
    cookie, session = sessions.open("a")
    assert sessions.find(cookie) == session
    assert sessions.find("") is None
    short, _ = sessions.open("b", until=clock.now() + timedelta(minutes=1))
    clock.since += timedelta(minutes=1)
    assert sessions.find(short) is None
    of_a = [sessions.open("a")[0] for _ in range(2)]
    assert [sessions.find(item) is not None for item in (cookie, *of_a)] == [False, True, True]
    others = [sessions.open(name)[0] for name in "cde"]
    assert [sessions.find(item) is not None for item in (*of_a, *others)] == [False, True, True, True, True]
    sessions.close(others[0])
    sessions.close(others[0])
    assert sessions.find(others[0]) is None
    clock.since += timedelta(hours=12)
    assert [sessions.find(item) for item in others] == [None] * 3
    sessions.open("z")
    assert len(sessions._open) == 1, "what has ended is not kept"
