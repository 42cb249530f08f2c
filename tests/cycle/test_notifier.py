"""Deliveries to real servers: ok, down and back, slow, failing, redirecting, speaking something else."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cycle.notices import Notice
from reconciler.cycle.notifier import NotificationError, Notifier, deliver
from reconciler.errors import Diagnostic
from reconciler.model.proxy import Notification, NotificationFormat
from reconciler.settings import AdminSettings
from tests.cycle.test_notices import NOTICE
from tests.http.servers import Server, answer, read_request, serving

LIMITS = AdminSettings(connect_timeout=2.0, read_timeout=5.0, max_body=1 << 16)
HOOK = "/services/T0/B0/x1y2z3"
OK = answer(200, b"ok")


class Receiver:
    """What a server was told, and how it answers: each answer once, the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.told: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._answers = list(answers) or [OK]

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        while request := read_request(connection):
            head, _, body = request.partition(b"\r\n\r\n")
            reply = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            self.told.put((head.split(b"\r\n")[0].decode(), json.loads(body)))
            if not reply:
                over.wait(30)
                return
            connection.sendall(reply)
            if not reply.startswith(b"HTTP/"):
                return

    def next(self) -> dict[str, Any]:
        return self.told.get(timeout=20)[1]


@contextmanager
def notifying(**options: Any) -> Iterator[tuple[Notifier, list[Diagnostic]]]:
    said: list[Diagnostic] = []
    with closing(Notifier(said.append, **{"first_pause": 0.01} | options)) as notifier:
        yield notifier, said


def to(server: Server, *, form: NotificationFormat = NotificationFormat.JSON) -> Notification:
    return Notification(url=server.address + HOOK, format=form)


def steps(*numbers: int) -> list[Notice]:
    return [replace(NOTICE, step=number) for number in numbers]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_receiver_is_told_once() -> None:
    """However often passes ask; and then the state belongs into the evidence."""
    receiver = Receiver()
    with serving(receiver) as server, notifying() as (notifier, said):
        for _ in range(20):
            notifier.tell(NOTICE, [to(server), to(server)])
        assert receiver.next() == NOTICE.body(NotificationFormat.JSON)
        assert notifier.wait(20)
        assert notifier.tell(NOTICE, [to(server)])
        assert receiver.told.empty()
    assert said == []


def test_nobody_to_tell_is_told() -> None:
    """Somebody who is added later does not hear of what was before."""
    with notifying() as (notifier, _):
        assert notifier.tell(NOTICE, [])


def test_slack_gets_its_own_form() -> None:
    """The same notice in the form that the receiver asks for."""
    receiver = Receiver()
    with serving(receiver) as server, notifying() as (notifier, _):
        notifier.tell(NOTICE, [to(server, form=NotificationFormat.SLACK)])
        assert receiver.next() == NOTICE.body(NotificationFormat.SLACK)


@pytest.mark.parametrize(
    "first",
    [
        answer(500, b"no"),
        answer(503, b"", b"Retry-After: 1"),
        answer(429, b""),
        b"\x00\xffgarbage\r\n\r\n",
        b"HTTP/1.1 200",
    ],
)
def test_what_may_pass_is_tried_again(first: bytes) -> None:
    """Failures of a server and answers that are none; each attempt has the same id, and there is one complaint."""
    receiver = Receiver(first, first, OK)
    with serving(receiver) as server, notifying(limits=replace(LIMITS, read_timeout=0.5)) as (notifier, said):
        assert not notifier.tell(NOTICE, [to(server)])
        assert [receiver.next()["id"] for _ in range(3)] == [NOTICE.id] * 3
        assert notifier.wait(20)
    assert [item.code for item in said] == ["notification"]
    assert said[0].message.endswith("it is tried again for a while")


def test_a_receiver_that_is_down_is_told_when_it_is_back() -> None:
    """In the order in which the states came."""
    port = free_port()
    receiver = Receiver()
    with notifying() as (notifier, said):
        address = Notification(url=f"http://127.0.0.1:{port}/hook")
        for notice in steps(0, 1, 2):
            assert not notifier.tell(notice, [address])
        with closing(Listening(port, receiver)):
            assert [receiver.next()["step"] for _ in range(3)] == [0, 1, 2]
            assert notifier.wait(20)
            assert all(notifier.tell(notice, [address]) for notice in steps(0, 1, 2))
    assert all("refused" in item.message for item in said)


class Listening:
    """A server on a port that is known before it is there."""

    def __init__(self, port: int, behaviour: Callable[[socket.socket, threading.Event], None]) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(16)
        self._behaviour = behaviour
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._behaviour(connection, self._over)

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(302, b"", b"Location: http://127.0.0.1:1/x"), "redirects (302), which is not followed"),
        (answer(404, b"no_service"), "it answers 404"),
        (answer(403, b"invalid_token"), "it answers 403"),
    ],
)
def test_what_will_not_pass_is_given_up_at_once(reply: bytes, words: str) -> None:
    """Once told and once complained about; a redirect might lead a secret anywhere."""
    receiver = Receiver(reply)
    with serving(receiver) as server, notifying() as (notifier, said):
        notifier.tell(NOTICE, [to(server)])
        assert notifier.wait(20)
        assert notifier.tell(NOTICE, [to(server)])
        assert receiver.told.qsize() == 1
    assert [words in item.message and item.message.endswith("it is given up") for item in said] == [True]


def test_patience_ends() -> None:
    """A receiver that never comes back is given up, with one complaint when it begins and one when it ends."""
    with notifying(patience=0.05) as (notifier, said):
        notifier.tell(NOTICE, [Notification(url=f"http://127.0.0.1:{free_port()}/")])
        assert notifier.wait(20)
    assert [item.message.rpartition("; ")[2] for item in said] == ["it is tried again for a while", "it is given up"]


def test_a_slow_receiver_delays_nobody_else_and_no_pass() -> None:
    """Each has a thread of its own, and telling returns at once whatever they do."""
    slow, fast = Receiver(b""), Receiver()
    with serving(slow) as tarpit, serving(fast) as server, notifying() as (notifier, _):
        for notice in steps(0, 1, 2):
            assert not notifier.tell(notice, [to(tarpit), to(server)])
        assert [fast.next()["step"] for _ in range(3)] == [0, 1, 2]
        assert not notifier.tell(NOTICE, [to(tarpit)])
        assert not notifier.wait(0.01)


def test_closing_waits_for_nobody() -> None:
    """A process that ends leaves what is under way; the next one tells it, with the same id."""
    with notifying(first_pause=1000.0, patience=10_000.0) as (notifier, said):
        notifier.tell(NOTICE, [Notification(url=f"http://127.0.0.1:{free_port()}/")])
        while not said:
            assert not notifier.wait(0.01)
        notifier.close()
        assert not notifier.wait(1000)


def test_a_queue_has_an_end() -> None:
    """While a receiver is down for long, the oldest notices are given up rather than memory."""
    receiver = Receiver(b"", OK)
    with serving(receiver) as server, notifying(limits=replace(LIMITS, read_timeout=0.5)) as (notifier, _):
        notices = steps(*range(150))
        for notice in notices:
            notifier.tell(notice, [to(server)])
        assert notifier.tell(notices[10], [to(server)])
        seen: list[int] = []
        while not seen or seen[-1] != 149:
            seen.append(receiver.next()["step"])
        assert len(set(seen)) <= 102


def test_addresses_in_files_are_read_when_they_are_needed_and_never_shown(tmp_path: Path) -> None:
    """A secret is renewed by replacing its file; neither it nor a path with a token comes into a message."""
    file = tmp_path / "hook"
    receiver = Receiver()
    target = Notification(url_file=str(file))
    with serving(receiver) as server:
        with pytest.raises(NotificationError, match="No such file"):
            deliver(NOTICE, target, LIMITS)
        file.write_bytes(b"\xff\xfe")
        with pytest.raises(NotificationError, match="it is not text"):
            deliver(NOTICE, target, LIMITS)
        file.write_text(f" {server.address}{HOOK}?a=b\n")
        deliver(NOTICE, target, LIMITS)
        assert receiver.told.get(timeout=20)[0] == f"POST {HOOK}?a=b HTTP/1.1"
    for given in (
        f"{server.address}{HOOK}?key=x1y2z3",
        "https://127.0.0.1:x1y2z3/",
        "x1y2z3",
        "http://",
        "ftp://x1y2z3",
    ):
        file.write_text(given)
        for receiver_of in (target, Notification(url=given)):
            with pytest.raises(NotificationError) as failure:
                deliver(NOTICE, receiver_of, LIMITS)
            assert "x1y2z3" not in str(failure.value)
            assert failure.value.__cause__ is None


def test_a_garbled_answer_shows_nothing_of_the_address() -> None:
    """Messages of the HTTP client begin with the path, which is the secret."""
    for reply in (b"\x00garbage\r\n\r\n", answer(500, HOOK.encode()), answer(404, HOOK.encode())):
        with serving(Receiver(reply)) as server, pytest.raises(NotificationError) as failure:
            deliver(NOTICE, to(server), LIMITS)
        assert "x1y2z3" not in str(failure.value)
        assert "127.0.0.1" in str(failure.value)
