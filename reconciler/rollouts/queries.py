"""Queries: what has to be asked of a Prometheus before a turn. The pass asks, and hands the answers in as facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.rollouts.course import Course
from reconciler.rollouts.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question.

    Attributes:
        id: Under which the answer is handed in: `<analysis>/<metric>`.
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
    raise NotImplementedError
