"""Whether what came is what should have come; says everything that is wrong. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from reconciler.cli.demo.split import bounds
from tests.behaviour.client import Reply
from tests.behaviour.journal import Seen
from tests.behaviour.table import Outcome

_CONFIDENCE = 1 - 1e-9
_PATTERN = "~ "


def wrong(outcome: Outcome, reply: Reply, seen: Sequence[Seen]) -> list[str]:
    """What is wrong with one reply, given what backends saw of it."""
    if outcome.closed:
        return [] if reply.error else [f"the connection should have been closed, and the status is {reply.status}"]
    if reply.error:
        return [f"no response: {reply.error}"]
    return [*_response(outcome, reply), *_request(outcome, reply, seen)]


def _response(outcome: Outcome, reply: Reply) -> Iterator[str]:
    status = outcome.status or (200 if outcome.backends else None)
    if status is not None and reply.status != status:
        yield f"the status is {reply.status}, not {status}"
    if outcome.backends and reply.backend not in outcome.backends:
        yield f"{reply.backend or 'no backend'} answered, not {' or '.join(outcome.backends)}"
    if outcome.body is not None and reply.body != outcome.body:
        yield f"the body is {reply.body!r}, not {outcome.body!r}"
    for name, value in outcome.answer.items():
        yield from _header(f"the response's {name}", value, reply.header(name))
    if outcome.certificate and reply.certificate != outcome.certificate:
        yield f"the server's certificate is {reply.certificate!r}, not {outcome.certificate!r}"
    if not outcome.at_least <= reply.seconds <= outcome.at_most:
        yield f"it took {reply.seconds:.3f} s, not {outcome.at_least} to {outcome.at_most}"


def _request(outcome: Outcome, reply: Reply, seen: Sequence[Seen]) -> Iterator[str]:
    mine = [item for item in seen if item.backend == reply.backend]
    for name, value in outcome.saw.items():
        yield from _header(f"the backend's {name}", value, mine[-1].value(name) if mine else None)
    reached = Counter(item.backend for item in seen)
    if outcome.reached is not None and reached != Counter(outcome.reached):
        yield f"requests reached {dict(reached)}, not {dict(outcome.reached)}"
    for backend, headers in outcome.copies.items():
        copies = [item for item in seen if item.backend == backend]
        if len(copies) != 1:
            yield f"{backend} saw {len(copies)} copies, not 1"
            continue
        for name, value in headers.items():
            yield from _header(f"the {name} of {backend}'s copy", value, copies[0].value(name))


def _header(what: str, expected: str | None, found: str | None) -> Iterator[str]:
    if expected is None or found is None:
        same = expected == found
    elif expected.startswith(_PATTERN):
        same = re.fullmatch(expected.removeprefix(_PATTERN), found) is not None
    else:
        same = expected == found
    if not same:
        yield f"{what} is {found!r}, not {expected!r}"


def wrong_together(outcome: Outcome, rounds: Sequence[Sequence[Reply]]) -> list[str]:
    """What is wrong with many replies; more than one round only if it is about stickiness."""
    replies = [reply for one in rounds for reply in one]
    counts = Counter(reply.backend for reply in replies)
    return [
        *_split(outcome.split, counts, len(replies)),
        *([f"backends answered {dict(counts)}, not {dict(outcome.counts)}"] if _differ(outcome.counts, counts) else ()),
        *_set("backends answered", set(outcome.spread), set(counts)),
        *_set("statuses are", set(outcome.statuses), {reply.status for reply in replies}),
        *(_sticky(rounds) if outcome.sticky else ()),
        *([f"more than one backend answered: {dict(counts)}"] if outcome.one and len(counts) > 1 else ()),
    ]


def _differ(expected: Mapping[str, int], found: Counter[str]) -> bool:
    return bool(expected) and Counter(expected) != found


def _split(split: Mapping[str, float], counts: Counter[str], requests: int) -> Iterator[str]:
    if split and (strangers := set(counts) - set(split)):
        yield f"{sorted(strangers)} answered too"
    for backend, percent in split.items():
        low, high = bounds(requests, percent / 100, confidence=_CONFIDENCE)
        if not low <= counts[backend] <= high:
            yield f"{backend} answered {counts[backend]} of {requests}, which for {percent}% is {low} to {high}"


def _set(what: str, expected: set[str] | set[int], found: set[str] | set[int]) -> Iterator[str]:
    if expected and expected != found:
        yield f"{what} {sorted(found)}, not {sorted(expected)}"


def _sticky(rounds: Sequence[Sequence[Reply]]) -> Iterator[str]:
    first = [reply.backend for reply in rounds[0]]
    for later in rounds[1:]:
        moved = [number for number, reply in enumerate(later) if reply.backend != first[number]]
        if moved:
            yield f"{len(moved)} of {len(first)} went elsewhere than before: numbers {moved[:10]}"
    if len(set(first)) < 2:
        yield f"all went to {first[0]}"
