"""The two forms of the discovery protocol: a bootstrap asks for one, a stream speaks it."""

from __future__ import annotations

from enum import StrEnum


class Variant(StrEnum):
    """How changes are told. DELTA: incremental, each resource by itself. SOTW: state of the world, a whole set at a time."""

    DELTA = "delta"
    SOTW = "sotw"
