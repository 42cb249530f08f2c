"""Services and instances that are not in Git: adapters for platforms, and what is made of what they say.

An adapter in `platforms` speaks to a platform, by the `contract`; `kinds` says which one a registry gets. `keeping` drives it, doubts
losses, damps what flaps, remembers on disk, and makes one catalogue of all registries. `merging` puts that together with what Git
declares. `conformance` is the test that every adapter has to pass. Nothing here knows proxies or views.
"""

from reconciler.discovery.contract import (
    Adapter,
    AdapterError,
    Alive,
    Event,
    Gone,
    Problem,
    Put,
    Snapshot,
    Stopping,
    Surroundings,
)
from reconciler.discovery.keeping.registries import Registries
from reconciler.discovery.keeping.runner import FaultError
from reconciler.discovery.kinds import KindError, PluginError, SettingsError
from reconciler.discovery.merging.accounts import Accounts
from reconciler.discovery.merging.merger import Merged, Merger
from reconciler.discovery.merging.newest import Newest

__all__ = [
    "Accounts",
    "Adapter",
    "AdapterError",
    "Alive",
    "Event",
    "FaultError",
    "Gone",
    "KindError",
    "Merged",
    "Merger",
    "Newest",
    "PluginError",
    "Problem",
    "Put",
    "Registries",
    "SettingsError",
    "Snapshot",
    "Stopping",
    "Surroundings",
]
