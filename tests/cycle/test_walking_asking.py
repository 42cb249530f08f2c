"""Prometheus beside a pass: one that hangs holds its own rollout, and no pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reconciler.cycle.walking.asking import Asker
from reconciler.model.key import Key
from reconciler.rollouts.facts import Answer
from reconciler.rollouts.queries import Query

A, B = Key("default", "a"), Key("default", "b")
_EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
_SEVEN = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}}'


class Slow:
    """A Prometheus whose answers to `hang` wait until they are let go; to `none` it has no data, and to `seven` 7."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []
        self.changed = threading.Condition()
        slow = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                slow.answer(self, form)

            def do_GET(self) -> None:
                slow.answer(self, self.path)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def answer(self, handler: BaseHTTPRequestHandler, asked: str) -> None:
        with self.changed:
            self.asked.append(asked)
            self.changed.notify_all()
        if "hang" in asked:
            self.released.wait(30)
        handler.send_response(200)
        body = _EMPTY if "none" in asked else _SEVEN
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def query(self, rollout: Key, text: str, *, timeout: float = 30) -> Query:
        address = f"http://127.0.0.1:{self.server.server_address[1]}"
        id_ = f"{rollout}/background/{text}"
        return Query(id=id_, address=address, query=text, timeout=timedelta(seconds=timeout))


@pytest.fixture
def slow() -> Iterator[Slow]:
    """It listens."""
    found = Slow()
    found.thread.start()
    yield found
    found.released.set()
    found.server.shutdown()
    found.server.server_close()
    found.thread.join(10)


@pytest.fixture
def asker() -> Iterator[Asker]:
    """One that waits a moment."""
    found = Asker(patience=0.2)
    yield found
    found.close()


def test_an_answer_that_is_there_in_time_is_used(slow: Slow) -> None:
    """A value, no data, and why there is none: all three are answers."""
    asker = Asker(patience=20)
    gone = Query(id=f"{A}/x/gone", address="http://127.0.0.1:1", query="x", timeout=timedelta(seconds=5))
    seven, none = slow.query(A, "seven"), slow.query(A, "none")
    found = asker.answers(A, [seven, none, gone])
    assert found[seven.id] == Answer(value=7.0)
    assert found[none.id] == Answer()
    assert found[gone.id].error
    asker.close()


def test_one_that_hangs_is_asked_once_and_holds_nobody_else(slow: Slow, asker: Asker) -> None:
    """Each pass goes on without its answer, other rollouts get theirs, and it is there for the pass after it came."""
    hangs, seven = slow.query(A, "hang"), slow.query(B, "seven")
    for _ in range(3):
        assert asker.answers(A, [hangs]) == {}
    with slow.changed:
        assert slow.changed.wait_for(lambda: bool(slow.asked), 20)
    patient = threading.Event()
    found: dict[str, Answer] = {}
    while seven.id not in found and not patient.wait(0.01):
        found |= asker.answers(B, [seven])
    assert found == {seven.id: Answer(value=7.0)}
    assert sum("hang" in item for item in slow.asked) == 1
    slow.released.set()
    while hangs.id not in found and not patient.wait(0.01):
        found |= asker.answers(A, [hangs])
    assert found[hangs.id] == Answer(value=7.0)
    assert sum("hang" in item for item in slow.asked) == 1


def test_a_query_that_takes_too_long_is_an_error(slow: Slow) -> None:
    """After its own timeout, which the engine counts and holds for."""
    asker = Asker(patience=20)
    hangs = slow.query(A, "hang", timeout=0.3)
    assert asker.answers(A, [hangs])[hangs.id].error
    asker.close()
