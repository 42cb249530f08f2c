"""Lines of the log, as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cycle import Report
from reconciler.daemon.log import PassLog
from reconciler.daemon.logformat import FACTS, JsonFormatter, TextFormatter, ends_of_threads
from reconciler.errors import Diagnostic, TransientError
from reconciler.model.receipt import Receipt

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
EVIL = "no\x1b[2J\r\n2026-11-22T14:20:57+0000 ERROR   all is lost\u202e\u2028"


class Written:
    """A logger whose lines are kept."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._out = io.StringIO()
        handler = logging.StreamHandler(self._out)
        handler.setFormatter(formatter)
        self.logger = logging.Logger("test", logging.DEBUG)  # noqa: LOG001 -- one that nobody else has
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self._out.getvalue().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.getvalue().split("\n")[:-1]]


@pytest.fixture(params=[TextFormatter, JsonFormatter])
def written(request: pytest.FixtureRequest) -> Written:
    """Either form."""
    make: Callable[[], logging.Formatter] = request.param
    return Written(make())


def everything(log: PassLog) -> None:
    """One pass with all that a log can say."""
    log.begin(AT)
    receipt = Receipt(
        commit="f" * 40, at=AT, subject="live on 1/1 proxies", policy_commit="c" * 40, plan_digest="", outcome="applied",
        proxies={},
    )  # fmt: skip
    wrong = Diagnostic(
        code="yaml-syntax", message="expected a key", hint="indent it", file="policies/a.yaml", line=3, column=1
    )
    log.passed(Report(head="c" * 40, applied="b" * 40, errors=(wrong,), receipt=receipt), reasons=["drift", "poll"])
    log.end()
    log.git_failed(TransientError("no route", code="git-unavailable", hint="see the network"))


def test_a_line_of_json_has_what_it_is_about_in_fields() -> None:
    """Programs need not read words: the code, the place, the pass and the commits are fields of their own."""
    found = Written(JsonFormatter())
    everything(PassLog(found.logger))
    mistake, receipt, done, git = found.objects
    assert {name: mistake[name] for name in ("level", "code", "message", "hint", "file", "line", "column", "pass")} == {
        "level": "error",
        "code": "yaml-syntax",
        "message": "expected a key",
        "hint": "indent it",
        "file": "policies/a.yaml",
        "line": 3,
        "column": 1,
        "pass": "1@2026-01-02T03:04:05.678Z",
    }
    assert (receipt["receipt"], receipt["message"]) == ("f" * 40, "live on 1/1 proxies")
    assert (done["head"], done["commit"], done["reasons"]) == ("c" * 40, "b" * 40, ["drift", "poll"])
    assert (git["code"], "pass" in git) == ("git-unavailable", False)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item["ts"]) for item in found.objects)
    assert {name for item in found.objects for name in item} <= FACTS.keys()


def test_text_is_for_people() -> None:
    """The words with their code, place and hint, as commands print them."""
    found = Written(TextFormatter())
    everything(PassLog(found.logger))
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} "
    assert re.fullmatch(f"{stamp}ERROR   policies/a.yaml:3:1: error\\[yaml-syntax\\]: expected a key", found.lines[0])
    assert found.lines[1] == "    indent it"
    assert re.fullmatch(f"{stamp}INFO    f{{10}}: live on 1/1 proxies", found.lines[2])


@pytest.mark.parametrize("say", [lambda log: log.warning("peer says %s", EVIL), lambda log: log.error(EVIL)])
def test_whoever_logs_words_of_others_forges_no_line(say: Callable[[logging.Logger], None], written: Written) -> None:
    """Libraries log what peers send as it came; it stays one line, and a terminal carries nothing out."""
    say(written.logger)
    assert len(written.lines) == 1
    assert written.lines[0].isprintable()


def test_a_traceback_forges_none_either(written: Written) -> None:
    """An exception's words are others' as well."""
    try:
        int(EVIL)
    except ValueError:
        written.logger.exception("the fault was here")
    assert [line for line in written.lines[1:] if not line.startswith("    ")] == []
    assert all(line.isprintable() for line in written.lines)


def test_a_thread_that_ends_by_a_fault_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads objects does not find a bare traceback between two of them."""
    found = Written(JsonFormatter())
    monkeypatch.setattr(threading, "excepthook", ends_of_threads(found.logger))
    thread = threading.Thread(target=int, args=(EVIL,), name="t")
    thread.start()
    thread.join()
    (line,) = found.objects
    assert (line["code"], line["message"]) == ("bug", "error[bug]: the thread t ended by ValueError")
    assert "Traceback" in line["exception"]


@given(words=st.text())
def test_json_is_one_object_a_line_whatever_is_said(words: str) -> None:
    """Every line can be read by itself, and gives the words back."""
    record = logging.LogRecord("test", logging.INFO, "", 0, words, (), None)
    record.facts = {"code": words, "line": None}
    text = JsonFormatter().format(record)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["message"] == words
    assert "line" not in json.loads(text)
