"""Evidence between passes: in memory as far as it is newer than what the record branch has, never the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.clock import Clock
from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.model.receipt import Receipt
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.evidence_plain import from_plain, to_plain

_AT_MOST = 60.0
"""Seconds in which counts alone are written once; twice as long each time, while nothing else happens."""
_AT_LEAST = 3600.0
"""Seconds after which they are written in any case. What an Envoy counted meanwhile is lost only if it restarts as well."""


@dataclass(slots=True)
class _Known:
    """One rollout's evidence.

    Attributes:
        written: What the record branch has, as far as we know; None if nothing.
        at: When that was written or read, by the clock that only grows.
        pause: Seconds until counts alone are written again.
        keep: Whether it may not wait.
        subject: Of the commit that records it.
    """

    evidence: Evidence | None
    written: Mapping[str, Any] | None
    at: float
    pause: float = _AT_MOST
    keep: bool = False
    subject: str = ""


class Memory:
    """The evidence of all rollouts of one record branch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[Key, _Known] = {}
        self._left: dict[Key, Mapping[str, Any]] = {}
        self._settled: set[Key] = set()
        self._loaded = ""

    def load(self, last: Receipt | None, rollouts: Iterable[Key]) -> tuple[Diagnostic, ...]:
        """Take what the record says where somebody else has written it; forget rollouts that are gone.

        A receipt that was looked at before says nothing new: what was written since, in the same pass too, is newer.

        Returns:
            What could not be read there. Such a rollout goes on from what its document says.
        """
        wanted, notes = set(rollouts), list(last.notes if last is not None else ())
        self._settled -= wanted
        for key in [key for key in self._left if key in wanted]:
            del self._left[key]
        recorded = last.rollouts if last is not None else {}
        for key in {*self._known, *recorded} - wanted:
            gone = self._known.pop(key, None)
            self._leave(key, gone.evidence if gone is not None else _read(recorded[key]))
        stale = last is None or last.commit == self._loaded
        self._loaded = last.commit if last is not None else self._loaded
        for key in wanted:
            said = recorded.get(key)
            known = self._known.get(key)
            if known is not None and (stale or said is None or said == known.written):
                continue
            try:
                evidence = from_plain(said) if said is not None else None
            except ValueError as error:
                evidence = None
                notes.append(_broken(key, error))
            self._known[key] = _Known(evidence, said, self._clock.monotonic())
        return tuple(notes)

    def _leave(self, key: Key, evidence: Evidence | None) -> None:
        if evidence is not None and evidence.proposal and key not in self._settled:
            self._left.setdefault(key, evidence.proposal)

    @property
    def left(self) -> Mapping[Key, Mapping[str, Any]]:
        """What is known of the proposals of rollouts that are gone, until `settle`."""
        return dict(sorted(self._left.items()))

    def settle(self, key: Key) -> None:
        """Nothing is left of the proposals of a rollout that is gone."""
        self._left.pop(key, None)
        self._settled.add(key)

    def __getitem__(self, key: Key) -> Evidence | None:
        return self._known[key].evidence

    def get(self, key: Key) -> Evidence | None:
        """What is known of a rollout; None if nothing is, or there is none."""
        known = self._known.get(key)
        return known.evidence if known is not None else None

    def put(self, key: Key, evidence: Evidence, *, keep: bool, subject: str) -> None:
        """What is known of a rollout now.

        Args:
            key: The rollout.
            evidence: All of it.
            keep: Whether it has to be recorded at the next opportunity.
            subject: What the commit that records it says first.
        """
        known = self._known[key]
        known.evidence, known.subject = evidence, subject
        known.keep = known.keep or keep

    def restore(self, key: Key, evidence: Evidence | None) -> None:
        """Forget what was put last."""
        self._known[key].evidence = evidence

    @property
    def subject(self) -> str:
        """What a commit that records what is owed says first; "" if nothing is owed."""
        return "; ".join(self._known[key].subject for key in sorted(self.owed))

    @property
    def owed(self) -> frozenset[Key]:
        """Rollouts whose evidence has to be recorded."""
        now = self._clock.monotonic()
        return frozenset(
            key
            for key, known in self._known.items()
            if known.evidence is not None
            and (known.keep or now - known.at >= known.pause)
            and to_plain(known.evidence) != known.written
        )

    def plain(self) -> dict[Key, Mapping[str, Any]]:
        """What the record is to have: new where something is owed, else as it is."""
        owed, found = self.owed, {}
        for key, known in sorted(self._known.items()):
            said = to_plain(known.evidence) if key in owed and known.evidence is not None else known.written
            if said is not None:
                found[key] = said
        return found

    def recorded(self, written: Mapping[Key, Mapping[str, Any]]) -> None:
        """The record has these now."""
        for key, said in written.items():
            known = self._known.get(key)
            if known is not None and said != known.written:
                known.pause = _AT_MOST if known.keep else min(_AT_LEAST, 2 * known.pause)
                known.written, known.at, known.keep = said, self._clock.monotonic(), False


def _read(said: Mapping[str, Any]) -> Evidence | None:
    try:
        return from_plain(said)
    except ValueError:
        return None


def _broken(key: Key, error: ValueError) -> Diagnostic:
    return Diagnostic(
        code="record-unreadable",
        message=f"the evidence of the rollout {key.short()} can't be read: {error}",
        severity=Severity.WARNING,
        hint="the rollout goes on from its status; its step begins anew",
    )
