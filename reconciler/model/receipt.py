"""Outcomes of a push, and receipts: what is live where, proven how, for which policy commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.resource import ResourceId

_NONE: Mapping[Key, Mapping[str, Any]] = MappingProxyType({})


class OutcomeKind(StrEnum):
    """How a proxy ended a pass.

    APPLIED: it has its view. REJECTED: Envoy refused something. UNREACHABLE: its admin endpoint did not answer.
    LATE: not confirmed within the deadline. FAILED: what is ours to write could not be written (disk, permissions).
    DRIFTED: what drifted is left as it is, since `Mesh.drift` says report. SKIPPED: a phase was held for another proxy's sake.
    """

    APPLIED = "applied"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    LATE = "late"
    FAILED = "failed"
    DRIFTED = "drifted"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one proxy ended a pass.

    Attributes:
        proof: Level reached for the desired view.
        view: Version of what is live, as last read; "" if never read.
        detail: Envoy's words, or why.
        pushed: Whether anything was sent.
        seconds: From the pass's first push to this proxy's proof.
        rejected: What it refused, as far as that is known by name.
    """

    proxy: Key
    kind: OutcomeKind
    proof: Proof
    view: str = ""
    detail: str = ""
    pushed: bool = False
    seconds: float = 0.0
    rejected: tuple[ResourceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyReceipt:
    """One proxy in a receipt; the content of `proxies/<namespace>/<name>.yaml`."""

    view: str
    proof: str
    outcome: OutcomeKind
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One commit on the record branch, read back.

    Attributes:
        commit: Its own id.
        at: Its commit time, UTC.
        policy_commit: What was applied.
        plan_digest: Of the plan that was carried out.
        outcome: `applied` if every proxy has its view, else `partial`.
        rollouts: The evidence of each rollout, as plain values; the content of `rollouts/<namespace>/<name>.yaml`.
        notes: What could not be read of that, as warnings: such a rollout goes on from its status alone.
    """

    commit: str
    at: datetime
    subject: str
    policy_commit: str
    plan_digest: str
    outcome: str
    proxies: Mapping[Key, ProxyReceipt]
    rollouts: Mapping[Key, Mapping[str, Any]] = field(default_factory=lambda: _NONE)
    notes: tuple[Diagnostic, ...] = ()
