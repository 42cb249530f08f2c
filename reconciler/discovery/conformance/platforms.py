"""What a test brings for an adapter, so that `rules` can check it: a platform, in its hands.

Only words and protocols.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from reconciler.discovery.contract import Adapter
from reconciler.model.services import Health


class Mood(StrEnum):
    """What a platform's server can be like.

    WELL: as it should be. SLOW: every answer takes about a second. DOWN: nobody listens. PARTITIONED: it accepts connections and
    never answers, nor on those that it has. GARBAGE: it answers with what makes no sense. DENYING: it refuses the credentials.
    """

    WELL = "well"
    SLOW = "slow"
    DOWN = "down"
    PARTITIONED = "partitioned"
    GARBAGE = "garbage"
    DENYING = "denying"


class Ability(StrEnum):
    """What not every platform can do.

    DRAIN: an instance can be draining. UNHEALTHY: it can be unhealthy, and is listed as that. LABELS: it can have labels of its
    own. RESTART: there is a server that can be restarted. ALIVE: `Alive` comes within `Platform.alive` while nothing changes.
    GIVES_UP: asked for the first time, a partitioned server is given up within `Platform.patience`.
    """

    DRAIN = "drain"
    UNHEALTHY = "unhealthy"
    LABELS = "labels"
    RESTART = "restart"
    ALIVE = "alive"
    GIVES_UP = "gives-up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One instance that a platform is to list. A platform that can't carry labels or health ignores them."""

    address: str
    port: int = 8080
    labels: Mapping[str, str] = field(default_factory=dict)
    health: Health = Health.HEALTHY


class Platform(Protocol):
    """What a test has to bring for an adapter.

    Attributes:
        within: Seconds in which a change of the platform has to have become an event.
        patience: Seconds in which a server that can't be used has to have become an AdapterError.
        alive: Seconds in which `Alive` has to come while nothing changes.
    """

    within: float
    patience: float
    alive: float

    @property
    def secrets(self) -> Collection[str]:
        """Texts that no event, error or log line may have: tokens, passwords."""

    def adapter(self) -> Adapter:
        """A new adapter for the platform, configured as a user would."""

    def host(self, service: str) -> str:
        """What the adapter has to call a service."""

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        """List exactly these services (short lower-case names) with exactly these instances, in this order if it has one.

        Services may be `reviews` and `ratings`. A service that is not named is not there; where a platform can't do without it,
        it has no instances. Only called while the platform is WELL.
        """

    def be(self, mood: Mood) -> None:
        """Come into a mood. WELL also closes what the mood before has left hanging."""

    def restart(self) -> None:
        """Stop the server, which closes its connections, and start it again with what it had."""
