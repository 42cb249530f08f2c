"""Finding everything that Envoy refuses, although it stops at the first: by asking again about less.

Envoy judges most pieces each by itself, so a half that it refuses holds a culprit, and halving finds it in a handful of runs.
Some it refuses only together (a domain that two virtual hosts have); then the first piece that makes what stands before it
unacceptable is the culprit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.compile.pieces import Kind, Piece, assemble, referred
from reconciler.envoy.validation import Validator, Verdict
from reconciler.model.protos import encode

_NAMED = 4
"""Shorter names are not looked for in Envoy's words: they stand in other words too."""


class OutOfRunsError(Exception):
    """The runs that were allowed are used up; more may be wrong. For control flow inside this room."""


class Runs:
    """Counts the runs of Envoy, and ends the search when there were enough."""

    def __init__(self, validator: Validator, limit: int) -> None:
        self._validator = validator
        self._limit = limit
        self.used = 0

    def ask(self, bootstrap: Any) -> Verdict:
        """What Envoy says of a bootstrap message.

        Raises:
            OutOfRunsError: There were enough.
        """
        if self.used >= self._limit:
            raise OutOfRunsError
        self.used += 1
        return self._validator.ask(encode(bootstrap))


@dataclass(frozen=True, slots=True)
class Culprit:
    """What Envoy complains about.

    Attributes:
        position: Of the piece, or None for the bootstrap itself.
        words: Envoy's, cleaned.
        alone: Whether the piece is refused by itself, not only together with others.
        fatal: Whether it is refused; otherwise Envoy only warns.
        needs_file: Whether all that is wrong is that a file of the proxy's host is not here.
    """

    position: int | None
    words: str
    alone: bool = True
    fatal: bool = True
    needs_file: bool = False


class Search:
    """One bootstrap's worth of pieces, and what is wrong with them.

    Attributes:
        refused: Positions of the pieces that are left out from now on.
    """

    def __init__(self, bootstrap: Any, pieces: Sequence[Piece], runs: Runs) -> None:
        self._bootstrap = bootstrap
        self.pieces = pieces
        self._runs = runs
        self.refused: set[int] = set()
        self._named_clusters = referred(pieces)

    def ask(self, chosen: Collection[int]) -> Verdict:
        """What Envoy says of these pieces, without those that are refused."""
        return self._runs.ask(assemble(self._bootstrap, self.pieces, chosen, self.refused, named=self._named_clusters))

    def passes_without(self, known: Collection[tuple[Kind, bytes]]) -> bool:
        """Whether Envoy has nothing to say, with clusters left out that it has taken elsewhere.

        Sure if it is true: nothing about a listener gets better without a cluster. If it is false, ask about the whole.
        """
        left = [
            number
            for number, piece in enumerate(self.pieces)
            if piece.kind is not Kind.CLUSTER or piece.content not in known
        ]
        if len(left) == len(self.pieces):
            return False
        return self._runs.ask(assemble(self._bootstrap, self.pieces, left, (), named=())) == Verdict()

    def clusters(self) -> set[tuple[Kind, bytes]]:
        """The contents of the clusters that are not refused."""
        return {
            piece.content
            for number, piece in enumerate(self.pieces)
            if piece.kind is Kind.CLUSTER and number not in self.refused
        }

    def culprits(self) -> Iterator[Culprit]:
        """Everything that Envoy refuses, then everything that it warns about.

        Each refused piece is left out together with all of equal content before the next is looked for. Ends with the
        bootstrap if that is refused, since nothing can be asked without one.

        Raises:
            OutOfRunsError: The runs are used up.
        """
        whole = range(len(self.pieces))
        verdict = self.ask(whole)
        while verdict.complaint:
            culprit = self._refused(verdict)
            yield culprit
            if culprit.position is None:
                return
            self.leave_out(culprit.position)
            verdict = self.ask(whole)
        for words in verdict.warnings:
            yield self._warned(words)

    def leave_out(self, position: int) -> None:
        """Ask no more about a piece, nor about any that is equal to it."""
        content = self.pieces[position].content
        self.refused |= {
            number for number, piece in enumerate(self.pieces) if piece.kind is content[0] and piece.content == content
        }

    def _refused(self, whole: Verdict) -> Culprit:
        bare = self.ask(())
        if bare.complaint:
            return Culprit(None, bare.complaint, needs_file=bare.needs_file)
        low, high = self._named(whole.complaint)
        position, verdict, alone = self._first(low, high, whole, lambda verdict: bool(verdict.complaint))
        return Culprit(position, verdict.complaint, alone=alone, needs_file=verdict.needs_file)

    def _warned(self, words: str) -> Culprit:
        if words in self.ask(()).warnings:
            return Culprit(None, words, fatal=False)
        position, _, alone = self._first(0, len(self.pieces), Verdict(), lambda verdict: words in verdict.warnings)
        return Culprit(position, words, alone=alone, fatal=False)

    def _named(self, complaint: str) -> tuple[int, int]:
        """The cluster or listener that Envoy names, with all that stands in it, if it is refused by itself; else all."""
        everything = (0, len(self.pieces))
        named = [
            number
            for number, piece in enumerate(self.pieces)
            if piece.parent is None and len(piece.name) >= _NAMED and piece.name in complaint
        ]
        if not named:
            return everything
        low = max((number for number in named if number not in self.refused), key=self._length, default=None)
        if low is None:
            return everything
        high = next((n for n in range(low + 1, len(self.pieces)) if self.pieces[n].parent is None), len(self.pieces))
        return (low, high) if self.ask(range(low, high)).complaint else everything

    def _length(self, number: int) -> int:
        return len(self.pieces[number].name)

    def _first(
        self, low: int, high: int, known: Verdict, wrong: Callable[[Verdict], bool]
    ) -> tuple[int, Verdict, bool]:
        """The first piece of a range that is wrong, what Envoy says of it, and whether it is so by itself."""
        start, end = low, high
        while end - start > 1:
            middle = (start + end) // 2
            if wrong(self.ask(range(start, middle))):
                end = middle
            else:
                start = middle
        verdict = self.ask((start,))
        if wrong(verdict):
            return start, verdict, True
        good, bad, verdict = low, high, known  # [low, good) is accepted, [low, bad) is not
        while bad - good > 1:
            middle = (good + bad) // 2
            found = self.ask(range(low, middle))
            if wrong(found):
                bad, verdict = middle, found
            else:
                good = middle
        return bad - 1, verdict, False
