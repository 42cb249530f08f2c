"""What the log says of a registry: what an operator wants to know, once."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.discovery.keeping.telling import told
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Held, Knowledge, Standing

NOW = datetime(2025, 1, 1, 12, 30, tzinfo=UTC)
PROBLEM = Diagnostic(code="discovery-registry", message="nobody listens", hint="start it")
NEW = Standing(registry="it", kind="consul", knowledge=Knowledge.SILENT)
LIVE = replace(NEW, knowledge=Knowledge.LIVE, services=2, instances=7, heard=NOW)
DOWN = replace(LIVE, knowledge=Knowledge.STALE, problem=PROBLEM)
HELD = replace(
    LIVE, held=(Held(host="a", had=3, has=0, since=NOW, until=NOW), Held(host="b", had=1, has=0, since=NOW, until=NOW))
)
WIDE = replace(LIVE, held=(Held(host="", had=3, has=0, since=NOW, until=NOW),))
FLAPPING = replace(LIVE, flapping=("a 10.0.0.1", "b 10.0.0.1"))


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        (None, LIVE, (logging.INFO, "registry it answers (services: 2, instances: 7)")),
        (DOWN, LIVE, (logging.INFO, "registry it answers (services: 2, instances: 7)")),
        (
            LIVE,
            DOWN,
            (
                logging.WARNING,
                "registry it does not answer, and what it said last stays in use (services: 2): nobody listens",
            ),
        ),
        (
            NEW,
            replace(NEW, problem=PROBLEM),
            (logging.WARNING, "registry it does not answer, and nothing is known of it: nobody listens"),
        ),
        (
            LIVE,
            replace(LIVE, problem=PROBLEM),
            (logging.WARNING, "registry it can't be used in all parts: nobody listens"),
        ),
        (
            LIVE,
            HELD,
            (
                logging.WARNING,
                "registry it is not believed: 0 of 3 instances of a are left, and 1 more; until 12:30:00 UTC all stay in use",
            ),
        ),
        (
            LIVE,
            WIDE,
            (
                logging.WARNING,
                "registry it is not believed: 0 of 3 instances of the registry are left; until 12:30:00 UTC all stay in use",
            ),
        ),
        (HELD, LIVE, (logging.INFO, "registry it: what was lost is listed again, or believed by now")),
        (
            LIVE,
            FLAPPING,
            (logging.WARNING, "registry it: a 10.0.0.1 and 1 more come and go too often, and are left out"),
        ),
        (FLAPPING, LIVE, (logging.INFO, "registry it: instances that came and went are steady")),
    ],
)
def test_a_line_for_what_is_new(before: Standing | None, now: Standing, line: tuple[int, str]) -> None:
    """Each says which registry it is about, and what is done about it."""
    assert list(told(before, now)) == [line]


@pytest.mark.parametrize("standing", [NEW, LIVE, DOWN, HELD, WIDE, FLAPPING])
def test_nothing_is_said_twice(standing: Standing) -> None:
    """Other numbers and other words of the same trouble are no news."""
    more = replace(standing, instances=99, heard=NOW)
    other = replace(more, problem=replace(PROBLEM, message="still nobody")) if standing.problem else more
    assert list(told(standing, other)) == []


def test_a_registry_that_is_new_and_was_not_asked_yet() -> None:
    """There is nothing to say of it."""
    assert list(told(None, NEW)) == []
