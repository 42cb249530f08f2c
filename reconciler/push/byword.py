"""Proxies without an admin endpoint: what they have is what they say on their streams, and that is all the proof there is.

A proxy asks for what it needs. What it was never asked for by anybody counts as there: it gets it as soon as somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType

from reconciler.model.key import Key
from reconciler.model.observation import Observation, Proof
from reconciler.push.verify import judge
from reconciler.push.ways import DisconnectedError, Proven, Target
from reconciler.xds import Plane


def observe_by_word(key: Key, plane: Plane | None, *, at: Callable[[], datetime]) -> Observation:
    """What a proxy has by its own word. Never raises for one that is not connected: `error` says so.

    Args:
        key: Whose streams.
        plane: Where they are; None where this process serves none.
        at: The wall clock.
    """
    if plane is None or not plane.state(key).connected:
        return Observation(proxy=key, at=at(), error=disconnected().diagnostics[0])
    found = {**plane.unasked(key), **plane.has(key)}
    return Observation(
        proxy=key, at=at(), resources=MappingProxyType({id_: found[id_] for id_ in sorted(found)})
    )  # fmt: skip


def prove_by_word(target: Target, plane: Plane, *, at: Callable[[], datetime]) -> Proven:
    """How surely a proxy has its view, by its own word."""
    seen = observe_by_word(target.proxy.key, plane, at=at)
    if seen.error is not None:
        return Proven(observation=target.observation, proof=Proof.ACKED, detail=seen.error.message)
    return by_word(judge(target, seen))


def by_word(proven: Proven) -> Proven:
    """The same finding, made from what a proxy says: it can't show more than that."""
    exact = proven.proof is Proof.EXACT
    return Proven(
        observation=proven.observation, proof=Proof.ACKED if exact else Proof.SENT, detail=proven.detail
    )  # fmt: skip


def disconnected() -> DisconnectedError:
    """The error of a proxy that holds no stream."""
    return DisconnectedError(
        "its ADS stream is not connected",
        hint="check that it runs, and that its bootstrap names the address of this daemon's --ads",
    )
