"""One row tried: its requests sent in order, through each way in, and judged. Says what was sent and what came back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.behaviour.client import Call, Reply, send
from tests.behaviour.journal import Seen
from tests.behaviour.judge import wrong, wrong_together
from tests.behaviour.stage import Stage, token
from tests.behaviour.table import Outcome, Request, Row
from tests.behaviour.topics import Entry

_ROUNDS = 3
_SETTLED = 5.0  # seconds for copies that are sent without waiting for their answers
_POLL = 0.01


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call, its reply, and what backends saw of it."""

    call: Call
    reply: Reply
    seen: Sequence[Seen]


def try_row(stage: Stage, entry: Entry) -> None:
    """Send what a row says and compare.

    Raises:
        AssertionError: Something is different; says the rule, the policy, what was sent and what came back.
    """
    row = entry.row
    if row is None:
        raise AssertionError(f"{entry.topic}: the row can't be read: {entry.problem}\n\n{entry.text()}")
    refusal = stage.refusals.get(row.name)
    if refusal is not None:
        raise AssertionError(f"{row.rule}\n\n{refusal}\n\n{entry.text()}")
    reported = stage.reports.get(row.name, Counter())
    if reported != Counter(row.findings):
        said = f"loading it reports {sorted(reported.elements())}, not {sorted(row.findings)}"
        raise AssertionError(f"{row.rule}\n\n{said}\n\n{stage.policy(row)}")
    for way in row.through:
        for request in row.requests:
            problems, last = _tried(stage, row, request, way)
            if problems:
                raise AssertionError(_report(stage, row, request, way, problems, last))


def _tried(stage: Stage, row: Row, request: Request, way: str) -> tuple[list[str], Attempt]:
    deadline = time.monotonic() + request.expect.within
    while True:
        problems, last = _once(stage, row, request, way)
        if not problems or time.monotonic() >= deadline:
            return problems, last
        time.sleep(_POLL)


def _once(stage: Stage, row: Row, request: Request, way: str) -> tuple[list[str], Attempt]:
    outcome = stage.outcome(row, request)
    rounds = [[*_sent(stage, row, request, way)] for _ in range(_ROUNDS if outcome.sticky else 1)]
    for attempt in (attempt for one in rounds for attempt in one):
        problems = wrong(outcome, attempt.reply, attempt.seen)
        if problems:
            return problems, attempt
    if outcome.of_many:
        replies = [[attempt.reply for attempt in one] for one in rounds]
        return wrong_together(outcome, replies), rounds[-1][-1]
    return [], rounds[-1][-1]


def _sent(stage: Stage, row: Row, request: Request, way: str) -> Iterator[Attempt]:
    calls = [stage.call(row, request, way, number) for number in range(request.times)]
    tokens = [token() for _ in calls]
    if request.at_once:
        with ThreadPoolExecutor(len(calls)) as pool:
            replies = [*pool.map(send, calls, tokens)]
    else:
        replies = [send(call, name) for call, name in zip(calls, tokens, strict=True)]
    for call, reply in zip(calls, replies, strict=True):
        yield Attempt(call, reply, _noted(stage, reply, stage.outcome(row, request)))


def _noted(stage: Stage, reply: Reply, outcome: Outcome) -> Sequence[Seen]:
    """What backends saw, once it is as many as there should be: nobody waits for a copy's answer."""
    deadline = time.monotonic() + _SETTLED
    while not _settled(stage.journal.reached(reply.token), outcome) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return stage.journal.of(reply.token)


def _settled(reached: Mapping[str, int], outcome: Outcome) -> bool:
    enough = outcome.reached is None or sum(reached.values()) >= sum(outcome.reached.values())
    return enough and set(outcome.copies) <= reached.keys()


def _report(stage: Stage, row: Row, request: Request, way: str, problems: Sequence[str], last: Attempt) -> str:
    call, reply = last.call, last.reply
    expected = request.expect.model_dump(by_alias=True, exclude_defaults=True)
    sent = [f"{call.method} {call.target}", *(f"  {name}: {value}" for name, value in call.headers)]
    came = [reply.error or str(reply.status), *(f"  {name}: {value}" for name, value in reply.headers), reply.body]
    saw = [f"  {item.backend}: {item.method} {item.path} {dict(item.headers)}" for item in last.seen]
    return "\n".join(
        [
            row.rule, "", *(f"- {problem}" for problem in problems), "",
            f"through the {way}, at {call.place[0]}:{call.place[1]}", f"request: {request.send}", f"expected: {expected}",
            "", "sent:", *sent, "", f"came back in {reply.seconds:.3f} s:", *came, "", "backends saw:", *saw, "",
            "policy:", stage.policy(row),
        ]
    )  # fmt: skip
