"""Asking a Prometheus beside a pass: answers that come late, and those that never come."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from reconciler.cycle.walking.asking import Asker
from reconciler.model.key import Key
from reconciler.rollouts.facts import Answer
from reconciler.rollouts.queries import Query
from tests.envoy.live import until
from tests.http.servers import Behaviour, answer, read_request, serving

ONE, OTHER = Key("default", "one"), Key("default", "other")
SEVEN = answer(200, b'{"status":"success","data":{"resultType":"scalar","result":[0,"7"]}}')


def query(rollout: Key, address: str, *, timeout: float = 30) -> Query:
    return Query(id=f"{rollout}/background/m", address=address, query="1", timeout=timedelta(seconds=timeout))


def after(gate: threading.Event) -> Behaviour:
    """Answers once the gate is open."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        while not gate.wait(0.01) and not over.is_set():
            pass
        connection.sendall(SEVEN)

    return behave


@pytest.fixture
def asker() -> Iterator[Asker]:
    with closing(Asker(patience=0.05)) as asker:
        yield asker


def test_an_answer_that_comes_late_is_there_for_a_later_pass(asker: Asker) -> None:
    """It is asked once, and what another rollout asks in between takes nothing away."""
    gate, answers = threading.Event(), dict[str, Answer]()
    with serving(after(gate)) as server:
        mine = query(ONE, server.address)
        assert asker.answers(ONE, [mine]) == {}
        gate.set()

        def come() -> bool:
            assert asker.answers(OTHER, []) == {}
            answers.update(asker.answers(ONE, [mine]))
            return bool(answers)

        until(come)
        assert answers == {mine.id: Answer(value=7)}
        assert server.connections == 1


def test_a_prometheus_that_hangs_keeps_no_other_from_answering(asker: Asker) -> None:
    """Each has its own wait; the one that hangs is an error by its own timeout."""
    opened = threading.Event()
    opened.set()
    with serving(after(threading.Event())) as hangs, serving(after(opened)) as well:
        stuck, fine = query(ONE, hangs.address, timeout=0.5), query(OTHER, well.address)
        assert asker.answers(ONE, [stuck]) == {}
        until(lambda: asker.answers(OTHER, [fine]) == {fine.id: Answer(value=7)})
        found = dict[str, Answer]()

        def come() -> bool:
            found.update(asker.answers(ONE, [stuck]))
            return bool(found)

        until(come)
    assert found[stuck.id].value is None
    assert "silent" in found[stuck.id].error, found
