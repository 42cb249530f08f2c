"""A URL as a registry: it conforms to the contract, asks as Prometheus does, and takes nothing for a list that is none."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from reconciler.discovery.conformance import Ability, Mood, Rule, rules, watching
from reconciler.discovery.contract import AdapterError, Alive, Event, Snapshot, Stopping
from reconciler.discovery.platforms.prometheus.http_sd import build
from reconciler.discovery.platforms.prometheus.targets import LARGEST
from reconciler.model.discovery import HttpSd
from tests.certificates import Authority
from tests.discovery.groups import AROUND, full, group
from tests.discovery.target_server import TOKEN, TargetServer

HOST = full("reviews")
WITHIN = 5.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TargetServer]:
    it = TargetServer(tmp_path)
    yield it
    it.close()


@pytest.mark.parametrize("rule", rules(lacks=[Ability.GIVES_UP]), ids=str)
def test_it_conforms(rule: Rule, server: TargetServer) -> None:
    """Every rule for adapters holds for a URL."""
    rule.check(server)


def first(spec: HttpSd) -> Event:
    stream = build(spec, AROUND).watch(Stopping())
    try:
        return next(stream)
    finally:
        stream.close()  # type: ignore[attr-defined]


def why(spec: HttpSd) -> str:
    with pytest.raises(AdapterError) as error:
        first(spec)
    (said,) = error.value.diagnostics
    assert said.hint
    assert said.code.startswith("discovery-")
    assert TOKEN not in str(error.value)
    assert "s3cret" not in str(error.value)
    return said.message


def test_it_is_asked_as_prometheus_asks(server: TargetServer) -> None:
    """The interval is said in seconds, JSON is accepted, and the token is a bearer's."""
    first(server.spec(interval=timedelta(seconds=2.5)))
    (asked,) = server.asked
    assert asked["x-prometheus-refresh-interval-seconds"] == "2.5"
    assert asked["accept"] == "application/json"
    assert asked["authorization"] == f"Bearer {TOKEN}"
    assert "if-none-match" not in asked


def test_an_unchanged_list_is_not_sent_again(server: TargetServer) -> None:
    """Its ETag comes back as If-None-Match, 304 is Alive, and another list is seen by its other tag."""
    server.say([group("10.0.0.1:80")])
    with watching(build(server.spec(), AROUND)) as watched:
        watched.wait(lambda it: len(it.events) > 2, within=WITHIN, what="events")
        assert isinstance(watched.events[0], Snapshot)
        assert watched.events[1:3] == [Alive(), Alive()]
        assert server.statuses[:3] == [200, 304, 304]
        server.say([group("10.0.0.2:80")])
        watched.until(lambda state: state[HOST].instances[0].address == "10.0.0.2", within=WITHIN, what="change")


def test_without_etags_an_equal_list_changes_nothing(server: TargetServer) -> None:
    """As with Prometheus's own simplest servers."""
    server.etags = False
    server.say([group("10.0.0.1:80")])
    with watching(build(server.spec(), AROUND)) as watched:
        watched.wait(lambda it: len(it.events) > 2, within=WITHIN, what="events")
        assert watched.events[1:3] == [Alive(), Alive()]
        assert set(server.statuses) == {200}


def test_what_makes_no_sense_is_left_out_and_said_until_it_is_mended(server: TargetServer) -> None:
    """A Problem names the URL without its query, and None follows once all is well."""
    server.say([group("10.0.0.1:80", "nonsense")])
    with watching(build(server.spec(), AROUND)) as watched:
        watched.wait(lambda it: it.problem is not None, within=WITHIN, what="Problem")
        assert watched.problem is not None
        assert "/targets: group 0: the target 'nonsense'" in watched.problem.message
        assert len(watched.services[HOST].instances) == 1
        server.say([group("10.0.0.1:80")])
        watched.wait(lambda it: it.problem is None, within=WITHIN, what="end of the Problem")


def test_the_token_is_read_for_each_question(server: TargetServer) -> None:
    """So it may be rotated; one that can't be used is an error that does not show it."""
    with watching(build(server.spec(), AROUND)) as watched:
        watched.wait(lambda it: len(it.events) > 1, within=WITHIN, what="events")
        server.token_file.write_text("another")
        watched.wait(lambda it: it.error is not None, within=WITHIN, what="error")
    assert server.asked[-1]["authorization"] == "Bearer another"
    assert "401" in str(watched.error)


@pytest.mark.parametrize("text", [b"", b"\n", b"two\nlines", b"\xff\xfe", "tökén".encode()])
def test_a_token_file_without_a_token_is_an_error(server: TargetServer, text: bytes) -> None:
    """Nothing is sent."""
    server.token_file.write_bytes(text)
    assert str(server.token_file) in why(server.spec())
    assert server.asked == []


def test_a_token_file_that_is_missing_is_an_error(server: TargetServer) -> None:
    """It is named."""
    server.token_file.unlink()
    assert "No such file" in why(server.spec())


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (200, {"content-type": "text/plain"}, b"[]", "content type is 'text/plain'"),
        (200, {"content-type": ""}, b"[]", "content type is ''"),
        (200, {}, b"", "not JSON"),
        (200, {}, b"{}", "no list of target groups"),
        (204, {}, b"", "answers 204"),
        (304, {}, b"", "answers 304"),
        (403, {}, b"", "does not let us in"),
        (500, {}, b"[]", "answers 500 instead of 200"),
        (302, {"location": "https://user:s3cret@example.com/list?s3cret"}, b"", "answers 302, the list is at https://example.com/list"),
        (301, {}, b"", "answers 301, the list is at nowhere"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_list_is_an_error(
    server: TargetServer, status: int, headers: dict[str, str], body: bytes, words: str
) -> None:
    """Whatever else it says, and an empty list is only what says `[]`."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        server.reply(request, status, body, **{name.replace("-", "_"): value for name, value in headers.items()})

    server.answer = answer
    assert words in why(server.spec())


def test_a_content_type_may_say_its_charset(server: TargetServer) -> None:
    """In Prometheus's forms, in any case."""
    server.answer = lambda request: server.reply(request, 200, b"[]", content_type='Application/JSON; charset="UTF-8"')
    assert first(server.spec()) == Snapshot({})


def test_a_huge_answer_is_refused(server: TargetServer) -> None:
    """By its size, not by what it does to memory."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        server.reply(request, 200, b"[" + b" " * LARGEST + b"]")

    server.answer = answer
    assert "larger than" in why(server.spec())


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://user:s3cret@127.0.0.1/", "http:///x", "x", "http://a:b/"])
def test_a_url_that_can_t_be_asked_is_an_error(url: str) -> None:
    """When the adapter is made, with what to write instead; credentials in it are not repeated."""
    with pytest.raises(ValueError, match="write http://host:port/path") as error:
        build(HttpSd(url=url), AROUND)
    assert "s3cret" not in str(error.value)


def test_an_interval_that_would_be_a_storm_is_an_error() -> None:
    """Zero would ask without a pause."""
    with pytest.raises(ValueError, match="shorter than 100ms"):
        build(HttpSd(url="http://127.0.0.1/", interval=timedelta()), AROUND)


def test_tls_is_checked_against_the_authority_that_is_named(tmp_path: Path) -> None:
    """And against nobody else."""
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    pair = ours.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.chain, pair.key)
    server = TargetServer(tmp_path, tls=context)
    try:
        assert first(server.spec(ca=str(ours.root))) == Snapshot({})
        assert "not of an authority that is trusted" in why(server.spec(ca=str(others.root)))
    finally:
        server.close()


def test_being_told_to_end_ends_a_question_that_hangs(server: TargetServer) -> None:
    """Without an error; and nothing is asked at all when it is time to end already."""
    server.be(Mood.PARTITIONED)
    with watching(build(server.spec(), AROUND)) as watched:
        watched.wait(lambda _: bool(server.asked), within=WITHIN, what="question")
    assert watched.error is None
    stopping = Stopping()
    stopping.set()
    assert list(build(server.spec(), AROUND).watch(stopping)) == []
    assert len(server.asked) == 1
