from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.stage import Stage, standing
from tests.behaviour.table import Row, slug
from tests.behaviour.topics import Entry, duplicates, entry, topics
from tests.behaviour.trial import try_row

_TO_BLUE = [{"route": [{"destination": {"host": "blue"}}]}]
_AGAIN = [{"retries": {"attempts": 1, "retryOn": "503"}, **_TO_BLUE[0]}]


def _entry(rule: str, *requests: Mapping[str, Any], **fields: Any) -> Entry:
    return entry("trial", {"rule": rule, "requests": [*requests], **fields})


_WRONG = {
    "another backend answers": _entry("a", {"GET /": "green"}, http=_TO_BLUE),
    "the status is 200, not 404": _entry("b", {"GET /": 404}, http=_TO_BLUE),
    "the backend's path is '/x', not '/y'": _entry("c", {"GET /x": {"saw": {"path": "/y"}}}, http=_TO_BLUE),
    "the backend's x-a is None, not '1'": _entry("d", {"GET /": {"saw": {"x-a": "1"}}}, http=_TO_BLUE),
    "the response's x-backend is 'blue', not None": _entry(
        "e", {"GET /": {"answer": {"x-backend": None}}}, http=_TO_BLUE
    ),
    "requests reached {'blue': 2}, not {'blue': 1}": _entry(
        "f", {"GET / want:503,200": {"reached": {"blue": 1}}}, http=_AGAIN
    ),
    "green saw 0 copies, not 1": _entry("g", {"GET /": {"copies": {"green": {}}}}, http=_TO_BLUE),
    "the connection should have been closed": _entry("h", {"GET /": {"closed": True}}, http=_TO_BLUE),
    "blue answered 50 of 50": _entry("i", {"50 x GET /": {"split": {"blue": 25, "green": 75}}}, http=_TO_BLUE),
    "backends answered {'blue': 4}": _entry("j", {"4 x GET /": {"counts": {"blue": 3}}}, http=_TO_BLUE),
    "backends answered ['blue'], not ['blue', 'green']": _entry(
        "k", {"4 x GET /": {"spread": ["blue", "green"]}}, http=_TO_BLUE
    ),
    "statuses are [200], not [200, 503]": _entry("l", {"4 at once GET /": {"statuses": [200, 503]}}, http=_TO_BLUE),
    "all went to blue": _entry("m", {"4 x GET /": {"sticky": True}}, http=_TO_BLUE),
    "more than one backend answered": _entry("n", {"60 x GET /": {"one": True}}, service={}),
    "it took": _entry("o", {"GET /": {"at_least": 20}}, http=_TO_BLUE),
    "the body is": _entry("p", {"GET /": {"body": "hello"}}, http=_TO_BLUE),
    "no response: ": _entry("q", {"send": "GET /", "at": "$port", "from": "blue"}, http=_TO_BLUE),
    "error[ref-host]: no service has the host purple": _entry(
        "r", {"GET /": "blue"}, http=[{"route": [{"destination": {"host": "purple"}}]}]
    ),
    "Extra inputs are not permitted": _entry("s", {"GET /": {"form": "blue"}}, http=_TO_BLUE),
    "not a request": _entry("t", {"get /": "blue"}, http=_TO_BLUE),
    "loading it reports [], not ['ref-host']": _entry(
        "v", {"GET /": "blue"}, http=_TO_BLUE, service={}, findings=["ref-host"]
    ),
    "without requests or findings says nothing": _entry("w", http=_TO_BLUE),
    "$nothing stands for nothing": _entry("u", {"GET /": "blue"}, http=_TO_BLUE, policies=[{"kind": "$nothing"}]),
}
"""What a failure says, by rows that must fail."""

_RIGHT = _entry("right", {"GET /": {"from": "blue", "saw": {"x-row-request": "~ [0-9a-f]{32}"}}}, http=_TO_BLUE)


@pytest.fixture(scope="module")
def mixed(envoy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:  # noqa: ARG001 -- it must be there
    """A stage on which most rows are wrong."""
    _ = tmp_path_factory
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="rec-"))
    rows = [item.row for item in (*_WRONG.values(), _RIGHT) if item.row is not None]
    try:
        with standing(rows, folder) as found:
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("said", _WRONG)
def test_a_row_that_is_wrong_fails_and_says_why(mixed: Stage, said: str) -> None:
    """A table whose rows can't fail proves nothing; a failure shows the rule and the policy."""
    with pytest.raises(AssertionError) as failure:
        try_row(mixed, _WRONG[said])
    expected = "blue answered, not green" if said.startswith("another") else said
    assert expected in str(failure.value)


def test_rows_that_are_right_are_not_hurt_by_others(mixed: Stage) -> None:
    """A policy that does not load is left out; the rest is served."""
    try_row(mixed, _RIGHT)
    assert sorted(mixed.refusals) == ["r", "u"]


def test_what_an_envoy_refuses_is_found_and_left_out(short_path: Path, envoy: str) -> None:  # noqa: ARG001 -- it must be there
    """What validation lets through and Envoy does not is one row's failure."""
    taken = [
        _entry(f"taken {number}", {"GET /": "blue"}, http=_TO_BLUE, policies=[_unopened(number)]) for number in range(3)
    ]
    rows = [item.row for item in (*taken, _RIGHT) if item.row is not None]
    with standing(rows, short_path) as stage:
        assert sorted(stage.refusals) == ["taken-1"]
        assert "an Envoy refuses it" in stage.refusals["taken-1"]
        try_row(stage, _RIGHT)
        try_row(stage, taken[2])


def _unopened(number: int) -> dict[str, Any]:
    """A gateway's listener; the second one is at an address that this machine does not have."""
    bind = "192.0.2.1" if number == 1 else "127.0.0.1"
    server = {"bind": bind, "port": {"number": "$port", "name": "http", "protocol": "HTTP"}, "hosts": ["$host"]}
    return {"kind": "Gateway", "spec": {"selector": {"gateway": "edge"}, "servers": [server]}}


def test_names_are_cut_after_a_word() -> None:
    """A rule's name is a label of a host name, of at most 63 characters with a suffix."""
    assert slug("It's A/B testing, isn't it?") == "its-a-b-testing-isnt-it"
    assert slug("word " * 40) == "-".join(["word"] * 10)


def test_two_rows_of_one_name_are_found() -> None:
    """They would serve each other's hosts."""
    assert duplicates([_RIGHT, *_WRONG.values(), _RIGHT]) == ["right"]


def test_every_file_of_rows_has_a_title_and_rules_that_are_sentences() -> None:
    """The table is read by people."""
    for topic in topics():
        assert topic.title
        assert topic.about.endswith(".")
        rules = [item.row.rule for item in topic.entries if isinstance(item.row, Row)]
        assert [rule for rule in rules if not rule.endswith(".") or not rule[0].isupper()] == []
