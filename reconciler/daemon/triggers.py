"""Why passes run, and what each reason asks of the pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Trigger(StrEnum):
    """Why a pass runs.

    START: the daemon begins. POLL: it is time to look at Git. DRIFT: it is time to read every proxy's content. RETRY: the last
    pass was not finished. CONNECT: a proxy connected to the daemon, or went. ROLLOUT: a rollout falls due. DISCOVERY: registries list
    other services, or a proxy lacks endpoints. WEBHOOK: a forge says that the branch has moved.
    """

    START = "start"
    POLL = "poll"
    DRIFT = "drift"
    RETRY = "retry"
    CONNECT = "connect"
    ROLLOUT = "rollout"
    DISCOVERY = "discovery"
    WEBHOOK = "webhook"


EXACT = frozenset({Trigger.START, Trigger.DRIFT})
"""Triggers after which the content of every proxy is read."""
WITHOUT_NEWS = EXACT | {Trigger.RETRY, Trigger.CONNECT, Trigger.ROLLOUT, Trigger.DISCOVERY}
"""Triggers that run a pass although Git has not moved."""
WITHOUT_GIT = frozenset({Trigger.DRIFT, Trigger.CONNECT, Trigger.ROLLOUT, Trigger.DISCOVERY})
"""Triggers that run a pass for the known head although Git can't be asked."""
OFTEN = frozenset({Trigger.CONNECT, Trigger.DISCOVERY, Trigger.WEBHOOK})
"""Triggers that may be given all the time: after a pass for one, others are collected for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When passes run.

    Attributes:
        interval: Between two looks at Git.
        drift_interval: Between two readings of every proxy's content.
    """

    interval: timedelta = timedelta(seconds=10)
    drift_interval: timedelta = timedelta(seconds=60)
