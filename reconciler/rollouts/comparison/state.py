"""What a comparison remembers between windows: a small value, plain enough for a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from reconciler.rollouts.comparison.evidence import ODDS, STAKES
from reconciler.rollouts.comparison.plain import Fields

Kind = Literal["success", "duration"]
FORM = 1
"""Of what is written; another one is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Bets on one outcome: an error, or a request slower than one threshold.

    Attributes:
        canary: Bad requests of the canary.
        bad: Bad requests of both.
        even: Of them, those that would be the canary's by its part of requests.
        odds: Logarithms of the stakes per request, by ODDS.
        stakes: Logarithms of the stakes per batch, by STAKES.
    """

    canary: int = 0
    bad: int = 0
    even: float = 0.0
    odds: tuple[float, ...] = (0.0,) * len(ODDS)
    stakes: tuple[float, ...] = (0.0,) * len(STAKES)

    def to_plain(self) -> dict[str, Any]:
        """As mappings, lists and numbers."""
        return {
            "canary": self.canary,
            "bad": self.bad,
            "even": self.even,
            "odds": list(self.odds),
            "stakes": list(self.stakes),
        }

    @classmethod
    def from_plain(cls, plain: Any, where: str) -> Self:
        """Read back."""
        fields = Fields(plain, where)
        return fields.done(
            cls(
                canary=fields.count("canary"),
                bad=fields.count("bad"),
                even=fields.number("even"),
                odds=fields.numbers("odds", len(ODDS)),
                stakes=fields.numbers("stakes", len(STAKES)),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Bets that began at one point in time and go on.

    Attributes:
        order: The how manieth it is, from 1: it began with the part 1 / (order (order + 1)) of the whole stake.
        canary: Requests of the canary since then.
        requests: Of both.
        expected: Of them, those that would be the canary's by the weights.
        tracks: By outcome.
    """

    order: int
    canary: int = 0
    requests: int = 0
    expected: float = 0.0
    tracks: tuple[Track, ...]

    def to_plain(self) -> dict[str, Any]:
        """As mappings, lists and numbers."""
        return {
            "order": self.order,
            "canary": self.canary,
            "requests": self.requests,
            "expected": self.expected,
            "tracks": [track.to_plain() for track in self.tracks],
        }

    @classmethod
    def from_plain(cls, plain: Any, where: str) -> Self:
        """Read back."""
        fields = Fields(plain, where)
        return fields.done(
            cls(
                order=fields.count("order"),
                canary=fields.count("canary"),
                requests=fields.count("requests"),
                expected=fields.number("expected"),
                tracks=tuple(Track.from_plain(item, at) for item, at in fields.items("tracks")),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Windows that are not yet enough for a bet.

    Attributes:
        share: The canary's part of requests by the weights.
        canary: Requests of the canary.
        stable: Of stable.
        canary_bad: Bad ones of the canary, by outcome.
        stable_bad: Of stable.
        slot: The newest slot of its windows; None if they have none.
    """

    share: float
    canary: int
    stable: int
    canary_bad: tuple[int, ...]
    stable_bad: tuple[int, ...]
    slot: int | None = None

    def to_plain(self) -> dict[str, Any]:
        """As mappings, lists and numbers."""
        return {
            "slot": self.slot,
            "share": self.share,
            "canary": self.canary,
            "stable": self.stable,
            "canaryBad": list(self.canary_bad),
            "stableBad": list(self.stable_bad),
        }

    @classmethod
    def from_plain(cls, plain: Any, where: str, outcomes: int) -> Self:
        """Read back."""
        fields = Fields(plain, where)
        return fields.done(
            cls(
                share=fields.number("share"),
                canary=fields.count("canary"),
                stable=fields.count("stable"),
                canary_bad=fields.counts("canaryBad", outcomes),
                stable_bad=fields.counts("stableBad", outcomes),
                slot=fields.maybe("slot", fields.count),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one side had in all.

    Attributes:
        requests: While both sides could have some.
        measure: Errors; or the sum of each window's percentile of request times, times its requests.
    """

    requests: int = 0
    measure: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One comparison of a canary with stable.

    Attributes:
        kind: Of what: errors among requests, or request times.
        rate: How probable a `fail` may be for a canary that is no worse, over all windows and looks.
        percentile: Of request times; the highest that is compared.
        users: With callers that stick to a version: how many independent users there are at least; None for requests that are
            spread one by one.
        canary: What the canary had in all.
        stable: What stable had.
        thresholds: Milliseconds from which a request is slow, by percentile; none before the first are known.
        usual: Stable's usual rate of bad requests, by outcome; none before the first batch.
        batch: What is not yet betted on.
        epochs: Bets, oldest first.
        begun: Epochs that have begun, those that were dropped included.
        bets: Batches that were betted on, in all.
        batches: Since the newest of them began.
        gap: How many batches it gets before another begins.
        share: Of the newest batch; 0 before the first.
    """

    kind: Kind
    rate: float
    percentile: float = 99
    users: int | None = None
    canary: Side = field(default_factory=Side)
    stable: Side = field(default_factory=Side)
    thresholds: tuple[float, ...] = ()
    usual: tuple[float, ...] = ()
    batch: Batch | None = None
    epochs: tuple[Epoch, ...] = ()
    begun: int = 0
    bets: int = 0
    batches: int = 0
    gap: int = 0
    share: float = 0.0

    @property
    def percentiles(self) -> tuple[float, ...]:
        """Those at which request times are compared: the one asked for, and common ones below it."""
        return (*(level for level in (50.0, 90.0) if level < self.percentile), self.percentile)

    @property
    def outcomes(self) -> int:
        """How many outcomes are betted on."""
        return 1 if self.kind == "success" else len(self.percentiles)

    def to_plain(self) -> dict[str, Any]:
        """As mappings, lists, strings and numbers. About a hundred numbers: small enough for Git."""
        return {
            "form": FORM,
            "kind": self.kind,
            "rate": self.rate,
            "percentile": self.percentile,
            "users": self.users,
            "canary": [self.canary.requests, self.canary.measure],
            "stable": [self.stable.requests, self.stable.measure],
            "thresholds": list(self.thresholds),
            "usual": list(self.usual),
            "batch": None if self.batch is None else self.batch.to_plain(),
            "epochs": [epoch.to_plain() for epoch in self.epochs],
            "begun": self.begun,
            "bets": self.bets,
            "batches": self.batches,
            "gap": self.gap,
            "share": self.share,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> State:
        """Read back what `to_plain` gave.

        Raises:
            ValueError: It is something else; the message names the field.
        """
        fields = Fields(plain, "comparison")
        if fields.count("form") != FORM:
            raise ValueError(f"comparison.form: {plain['form']!r} is not {FORM}")
        head = State(
            kind=fields.one_of("kind", ("success", "duration")),
            rate=fields.number("rate"),
            percentile=fields.number("percentile"),
            users=fields.maybe("users", fields.count),
        )
        many = head.outcomes
        sides = [fields.numbers(name, 2) for name in ("canary", "stable")]
        batch = fields.take("batch")
        return fields.done(
            State(
                kind=head.kind,
                rate=head.rate,
                percentile=head.percentile,
                users=head.users,
                canary=Side(requests=int(sides[0][0]), measure=sides[0][1]),
                stable=Side(requests=int(sides[1][0]), measure=sides[1][1]),
                thresholds=fields.numbers("thresholds", many, none=True),
                usual=fields.numbers("usual", many, none=True),
                batch=None if batch is None else Batch.from_plain(batch, "comparison.batch", many),
                epochs=tuple(Epoch.from_plain(item, at) for item, at in fields.items("epochs")),
                begun=fields.count("begun"),
                bets=fields.count("bets"),
                batches=fields.count("batches"),
                gap=fields.count("gap"),
                share=fields.number("share"),
            )
        )
