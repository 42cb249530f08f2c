"""The cheap reading: what Envoy's stats say about the versions it runs.

One request for all of it: `usedonly` spares Envoy the regular expression on the thousands of stats that were never
written, which makes one request for every kind of stat cheaper than one per kind (0.3 ms at 10 clusters, 6 ms at 1,000). A
stat that is absent has never been written and counts as 0, or as no version.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import quote

from reconciler.model.observation import Versions
from reconciler.model.resource import ResourceType, View, set_version

Subscription = tuple[ResourceType, str]

_WARMING = ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming")
_DRAINING = ("listener_manager.total_listeners_draining", "listener_manager.total_filter_chains_draining")
_OVERRIDES = "runtime.admin_overrides_active"
_CONNECTED = "control_plane.connected_state"
_LIVE, _STATE, _UPTIME = "server.live", "server.state", "server.uptime"
_REFUSED = ("update_rejected", "update_failure")
_TEXT = "version_text"
_FILTER = rf"\.(version_text|update_rejected|update_failure|warming_clusters|total_\w+_(warming|draining)|{_OVERRIDES[8:]})$|^{_CONNECTED}$|^server\.(live|state|uptime)$"

STATS = f"/stats?usedonly&filter={quote(_FILTER)}"
"""What to ask Envoy for."""

EPOCH = "/config_dump?mask=last_updated&name_regex=%5E%24"
"""When Envoy read its bootstrap, to the millisecond: another one means another process.

Of all that tells processes apart this is the cheapest that is sure: `/server_info` has 120 KB and whole seconds, and
uptimes in stats are as old as the last flush. The expression keeps Envoy from copying everything else into the dump first.
It need not be asked again as long as one connection lasts.
"""

_SETS = {
    "cluster_manager.cds": (ResourceType.CLUSTER, ""),
    "listener_manager.lds": (ResourceType.LISTENER, ""),
}
_BY_SET = (ResourceType.CLUSTER, ResourceType.LISTENER)
_SERVING = {"0", "1"}
"""`server.state`: LIVE, and DRAINING, which outlives its end by a flush; `server.live` knows at once."""


class NotAnEnvoyError(ValueError):
    """These are no stats of an Envoy."""


class VersionTexts(Mapping[Subscription, str]):
    """`version_text` by subscription, found by the resource's own name.

    Envoy writes names differently into stats: `:` becomes `_` and dots at the end go. A route configuration's stats are
    `http.<stat prefix>.rds.<name>`, and both parts may have `.rds.` in them. So a lookup tries the name as stats have it
    behind every `.rds.`; iteration shows the longest. Two listeners that run one route configuration in two versions give
    both, joined, which equals neither.
    """

    def __init__(self, shown: Mapping[str, str]) -> None:
        self._shown: dict[Subscription, str] = {}
        self._found: dict[Subscription, str] = {}
        for stem, text in shown.items():
            for position, key in enumerate(_subscriptions(stem)):
                if position == 0:
                    _join(self._shown, key, text)
                _join(self._found, key, text)

    def __getitem__(self, key: Subscription) -> str:
        type_, name = key
        stat = (type_, as_in_stats(name))
        return self._shown[stat] if stat in self._shown else self._found[stat]

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._shown)

    def __len__(self) -> int:
        return len(self._shown)

    def __repr__(self) -> str:
        return f"VersionTexts({self._shown})"


class Stats:
    """One answer to `STATS`.

    Args:
        body: A `name: value` per line. A line without a colon is the rest of a name with a newline in it.

    Attributes:
        uptime: Seconds, as of the last flush of stats.
        draining: Whether listeners or filter chains are on their way out; their routes are still in a dump.

    Raises:
        NotAnEnvoyError: The stats that every Envoy has are not there, or its counts are no numbers.
    """

    def __init__(self, body: bytes) -> None:
        lines = (line.partition(": ") for line in body.decode("utf-8", "backslashreplace").split("\n"))
        self._values = {name: value for name, colon, value in lines if colon}
        if self._values.get(_LIVE) not in {"0", "1"}:
            raise NotAnEnvoyError("these are not the stats of an Envoy")
        self.uptime = self._count(_UPTIME)
        self.draining = any(self._count(name) for name in _DRAINING)
        self._read = self._versions()

    def versions(self, epoch: str) -> Versions:
        """The reading; `epoch` comes from another request."""
        return replace(self._read, epoch=epoch)

    def _versions(self) -> Versions:
        texts: dict[str, str] = {}
        rejected: dict[ResourceType, int] = dict.fromkeys(ResourceType, 0)
        for name, value in self._values.items():
            stem, _, stat = name.rpartition(".")
            if stat == _TEXT:
                texts[stem] = html.unescape(value.removeprefix('"').removesuffix('"'))
            elif stat in _REFUSED:
                for type_, _ in _subscriptions(stem)[:1]:
                    rejected[type_] += self._count(name)
        return Versions(
            versions=VersionTexts(texts),
            warming=sum(self._count(name) for name in _WARMING),
            rejected=MappingProxyType(rejected),
            overrides=self._count(_OVERRIDES),
            epoch="",
            live=self._values.get(_LIVE) == "1" and self._values.get(_STATE) in _SERVING,
            connected=self._count(_CONNECTED) > 0 if _CONNECTED in self._values else None,
        )

    def _count(self, name: str) -> int:
        value = self._values.get(name, "0")
        if not value.isdecimal():
            raise NotAnEnvoyError(f"{name} is no number")
        return int(value)


def matches(versions: Versions, view: View, *, since: Versions | None = None) -> bool:
    """Whether the cheap reading already shows this view: every version equal, nothing warming, no overrides, live.

    This is less than equal content. Envoy keeps the version of a set when it refuses a newer one, although the valid part
    of what it refused is in force; so give the reading that a full observation was made with as `since`, and any refusal
    of a set after it, like a restart, needs a full observation again. RUNTIME keys never match: stats don't hold values.

    What is subscribed to by name shows its own version where it came by itself, and by ADS the version of the set that was
    current when it was sent. So what shows the same text as at `since` is what it was. Load assignments that registries have a part in
    move all the time: that there is one is enough.

    Args:
        versions: The reading.
        view: What should be.
        since: A reading at which the content was known to be equal.
    """
    if not versions.live or versions.warming or versions.overrides:
        return False
    if view.of_type(ResourceType.RUNTIME) or (since is not None and _unsure(versions, since)):
        return False
    shown, before = versions.versions, since.versions if since is not None else {}
    if any(shown.get((type_, "")) != set_version(view.of_type(type_)) for type_ in _BY_SET):
        return False
    return all(
        (text := shown.get((id_.type, id_.name))) == item.version
        or (text is not None and item.recipe is not None)
        or (text is not None and text == before.get((id_.type, id_.name)))
        for id_, item in view.resources.items()
        if id_.type not in _BY_SET
    )


def _unsure(versions: Versions, since: Versions) -> bool:
    return versions.epoch != since.epoch or any(versions.rejected[type_] != since.rejected[type_] for type_ in _BY_SET)


def _subscriptions(stem: str) -> tuple[Subscription, ...]:
    """What a stat's name without its last part may be about, the likeliest first; nothing for what is not ours to read."""
    if stem in _SETS:
        return (_SETS[stem],)
    if stem.startswith("sds."):
        return ((ResourceType.SECRET, stem.removeprefix("sds.")),)
    if stem.startswith("cluster."):
        return ((ResourceType.ENDPOINTS, stem.removeprefix("cluster.")),)
    if not stem.startswith("http."):
        return ()
    parts = stem.split(".rds.")
    return tuple((ResourceType.ROUTE, ".rds.".join(parts[index:])) for index in range(1, len(parts)))


def as_in_stats(name: str) -> str:
    """A resource's name as `Stats::Utility::sanitizeStatsName` and the symbol table make it."""
    for part in ("://", ":/", ":", "\0"):
        name = name.replace(part, "_")
    return name.rstrip(".")


def _join(found: dict[Subscription, str], key: Subscription, text: str) -> None:
    known = found.setdefault(key, text)
    if known != text:
        found[key] = f"{known}, {text}"
