"""Services and instances that are not in Git: adapters for platforms, and what is made of what they say.

Adapters (`contract`) speak to platforms. Around each one, a keeper doubts losses and damps what flaps, and a cache remembers. The
registries together make a catalogue, which merges with what Git declares. Nothing here knows proxies or views.
"""

from reconciler.discovery.accounts import Accounts
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
from reconciler.discovery.kinds import KindError, PluginError, SettingsError
from reconciler.discovery.merging import Merged, Merger
from reconciler.discovery.newest import Newest
from reconciler.discovery.registries import Registries
from reconciler.discovery.runner import FaultError

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
