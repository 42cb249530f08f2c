"""What a comparison remembers between windows: a small value, plain enough for a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Kind = Literal["success", "duration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One comparison of a canary with stable.

    Attributes:
        kind: Of what: errors among requests, or request times.
        rate: How probable a `fail` may be for a canary that is no worse, over all windows and looks.
        percentile: Of request times; the highest that is compared.
        users: With callers that stick to a version: how many independent users there are at least; None for requests that are
            spread one by one.
    """

    kind: Kind
    rate: float
    percentile: float = 99
    users: int | None = None

    def to_plain(self) -> dict[str, Any]:
        """As mappings, lists, strings and numbers."""
        return {"kind": self.kind, "rate": self.rate, "percentile": self.percentile, "users": self.users}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read back what `to_plain` gave.

        Raises:
            ValueError: It is something else; the message names the field.
        """
        return cls(**plain)
