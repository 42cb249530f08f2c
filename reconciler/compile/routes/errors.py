"""What stops one rule, and only that one, from being translated."""

from __future__ import annotations

from reconciler.errors import PolicyError


class UntranslatableError(PolicyError):
    """A rule that can't be said in Envoy's terms; validation should have refused it."""

    default_code = "route-untranslatable"
