"""Queries: what has to be asked of a Prometheus before a turn. The pass asks, and hands the answers in as facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.rollouts.analysing import takings
from reconciler.rollouts.course import Course
from reconciler.rollouts.evidence import Evidence, present
from reconciler.rollouts.judgement import due_at, finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question.

    Attributes:
        id: Under which the answer is handed in: `<namespace>/<rollout>/<analysis>/<metric>`.
        address: Base address of the Prometheus.
        query: PromQL, filled in.
        timeout: For this one question.
        token_file: Path of a file with a bearer token; "" for none.
        insecure: Don't check the server's certificate.
    """

    id: str
    address: str
    query: str
    timeout: timedelta
    token_file: str = ""
    insecure: bool = False


def queries(course: Course, evidence: Evidence | None, now: datetime) -> tuple[Query, ...]:
    """What running analyses need to know now, in order; nothing if no measurement is due."""
    if evidence is None or evidence.run != course.status.run:
        return ()
    return tuple(_due(course, present(evidence, now), now))


def _due(course: Course, evidence: Evidence, now: datetime) -> Iterator[Query]:
    for item in takings(course, evidence):
        source = item.metric.spec.provider.prometheus
        if source is None or finished(item.metric, item.measured) or due_at(item.metric, item.measured) > now:
            continue
        yield Query(
            id=item.id,
            address=source.address,
            query=item.metric.query,
            timeout=source.timeout,
            token_file=source.token_file,
            insecure=source.insecure,
        )
