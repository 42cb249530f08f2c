"""Follows a rollout by what anybody can read: commits on `main`, receipts on the record branch, and the status in its file.

Says since when and until when each split was live for certain. What its requests came to is not its business.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.cli.demo.clone import Clone
from reconciler.cli.demo.example import weights_of
from reconciler.cli.demo.receipts import said
from reconciler.model.rollout import Phase
from reconciler.yamldoc import load

_RECEIPTS = 12
"""How many commits back a receipt is looked for: between two looks there are a few at most."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A commit that is new on `main`."""

    commit: str
    author: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which `main` asks for one split.

    Attributes:
        weights: Percent, by subset.
        commits: Those of `main` that ask for it.
        proof: Subject of the first receipt that was seen of one of them; "" until then.
        live: When that was, by `time.monotonic`: whatever was sent later was split so, on every proxy.
        last: When `main` still asked for it, by `time.monotonic`: what had ended then was not split otherwise yet.
    """

    weights: Mapping[str, float]
    commits: frozenset[str]
    proof: str = ""
    live: float = 0.0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Live:
    """A split is proven on every proxy."""

    stretch: Stretch


@dataclass(frozen=True, slots=True)
class Left:
    """`main` asks for another split now."""

    stretch: Stretch


Event = Landed | Live | Left


@dataclass(slots=True)
class Walk:
    """One run of one rollout. Each look says what is new.

    Attributes:
        clone: Who looks; nothing is fetched into it.
        rules: The file with the split.
        rollout: The file with the Rollout, as its first document.
        seen: The newest commit of `main` that was looked at; to begin with, one of before the run.
    """

    clone: Clone
    rules: str
    rollout: str
    seen: str
    _stretch: Stretch = field(default_factory=lambda: Stretch(weights={}, commits=frozenset()), init=False)

    @property
    def stretch(self) -> Stretch:
        """What `main` asked for at the last look."""
        return self._stretch

    @property
    def phase(self) -> Phase:
        """Where the rollout stands, as its file said at the last look."""
        documents = load(self._file(self.rollout))
        return Phase((documents[0].get("status") or {}).get("phase", Phase.PENDING))

    def look(self) -> list[Event]:
        """What has come since the last look, in the order in which it did."""
        begin = time.monotonic()
        landed = [
            Landed(*line.split("\0")) for line in reversed(self.clone.log(f"{self.seen}..main", form="%H%x00%an%x00%s"))
        ]
        events: list[Event] = []
        if not landed:
            self._stretch = replace(self._stretch, last=begin)
        for commit in landed:
            events += self._prove()
            self.seen = commit.commit
            weights = weights_of(self._file(self.rules))
            if weights != self._stretch.weights:
                if self._stretch.commits:
                    events.append(Left(self._stretch))
                self._stretch = Stretch(weights=weights, commits=frozenset())
            self._stretch = replace(self._stretch, commits=self._stretch.commits | {commit.commit})
            events.append(commit)
        return events + self._prove()

    def _prove(self) -> list[Event]:
        """The split is live once a receipt says so; until then, look for one."""
        if self._stretch.proof or not self._stretch.commits:
            return []
        for receipt in reversed(said(self.clone, count=_RECEIPTS)):
            if receipt.policy in self._stretch.commits and receipt.everywhere:
                self._stretch = replace(self._stretch, proof=receipt.subject, live=time.monotonic())
                return [Live(self._stretch)]
        return []

    def _file(self, path: str) -> bytes:
        return self.clone.git(f"--git-dir={self.clone.remote}", "show", f"{self.seen}:{path}").encode()
