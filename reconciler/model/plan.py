"""Plans: per proxy, what turns the observation into the view, and why it differs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId


class Action(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Cause(StrEnum):
    """Why live and desired differ: Git moved, the proxy moved, or instances came and went."""

    CHANGE = "change"
    DRIFT = "drift"
    DISCOVERY = "discovery"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value inside a resource.

    Attributes:
        path: Steps by identity, not by index: `virtual_hosts[reviews].routes[primary].weighted_clusters[v2].weight`.
        old: JSON value, None if the field was absent.
        new: JSON value, None if the field goes.
    """

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One resource that is created, updated or deleted; `old` or `new` is None where there is none."""

    id: ResourceId
    action: Action
    cause: Cause
    fields: tuple[FieldChange, ...] = ()
    old: Resource | None = None
    new: Resource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyPlan:
    """What one proxy lacks. `changes` is sorted by resource id.

    Attributes:
        live: How many resources of ours the proxy had.
        unchanged: How many of them stay as they are.
        error: Why the proxy could not be asked; then there are no changes.
        notes: What the policies ask for and this proxy's way to push can't do.
    """

    proxy: Key
    changes: tuple[Change, ...] = ()
    live: int = 0
    unchanged: int = 0
    error: Diagnostic | None = None
    notes: tuple[Diagnostic, ...] = ()

    @property
    def reachable(self) -> bool:
        """Whether the proxy answered."""
        return self.error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole fleet's; `proxies` is sorted by key.

    Attributes:
        commit: The policy commit, or "" for a work tree.
        refused: What the guards object to; a plan with any is shown and not pushed.
        warnings: What the policies of this commit should be warned of.
    """

    commit: str
    proxies: tuple[ProxyPlan, ...]
    refused: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether every proxy that answered already has what it should have."""
        return not any(proxy.changes for proxy in self.proxies)
