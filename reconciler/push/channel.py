"""Changes of endpoints, past all passes: to every proxy that uses them, within milliseconds, and confirmed afterwards.

Beside `fleet`, not above it: passes push views, and go on while this delivers. Nothing is planned, compiled or recorded here; what a
load assignment is now, its recipe says. Nobody is waited for but in `confirm`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.errors import Diagnostic
from reconciler.model.files import path_of
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import Resource, ResourceId, View
from reconciler.push.arrival import Arrival, on_disk, on_stream
from reconciler.push.disk import Disk, WriteError
from reconciler.push.layout import Content
from reconciler.settings import AdminSettings
from reconciler.xds import Fresh, Plane, unchanged

Items = Mapping[ResourceId, Resource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a change of endpoints came to, before anybody has confirmed it.

    Attributes:
        proxies: That were sent or written something.
        resources: Load assignments, summed over these.
        bytes: Of these.
        failures: Why a proxy's files could not be written; the others were.
    """

    proxies: frozenset[Key] = frozenset()
    resources: int = 0
    bytes: int = 0
    failures: Mapping[Key, Diagnostic] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """Which proxies have what was delivered.

    Attributes:
        seconds: Of each that has it, how long that took at most.
        late: Those that should have it by now and have not, or have refused it, and what of it.
        absent: Those that can't be asked, and why; they get the newest when they come back.
    """

    seconds: Mapping[Key, float] = field(default_factory=lambda: MappingProxyType({}))
    late: Mapping[Key, str] = field(default_factory=lambda: MappingProxyType({}))
    absent: Mapping[Key, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What became of one proxy's files."""

    key: Key
    resources: int = 0
    bytes: int = 0
    failure: Diagnostic | None = None


@dataclass(slots=True)
class _Folder:
    """A proxy on files: where, and which of its load assignments change. Items are exchanged while nobody else writes to it."""

    proxy: Policy[Proxy]
    directory: str
    items: dict[ResourceId, Resource] = field(default_factory=dict)

    def of(self, hosts: Collection[str]) -> list[Resource]:
        return [item for item in tuple(self.items.values()) if item.recipe is not None and item.recipe.host in hosts]


@dataclass(frozen=True, slots=True)
class _Due:
    """What a proxy has to confirm, and since when on the clock's monotonic scale; on files, or else on its stream."""

    since: float
    items: Items
    files: _Folder | None = None


class Channel:
    """Delivers changes of endpoints to all proxies. For a thread of its own, while passes run on theirs.

    Args:
        plane: Where proxies on ADS are served; None where this process serves none. With the same `fresh`.
        fresh: What a load assignment is for the endpoints that are known now.
        clock: For how long things take.
        settings: How admin endpoints of proxies on files are asked.
    """

    def __init__(
        self, *, plane: Plane | None, clock: Clock, settings: AdminSettings, fresh: Fresh = unchanged
    ) -> None:  # fmt: skip
        self.fresh = fresh
        self._plane = plane
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._folders: dict[Key, _Folder] = {}
        self._due: dict[Key, _Due] = {}
        self._admins: dict[Key, Admin] = {}
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="endpoints")
        self._asking = ThreadPoolExecutor(settings.workers, thread_name_prefix="arrivals")  # these may take their time

    def close(self) -> None:
        """End the threads and connections; what was delivered stays."""
        self._pool.shutdown()
        self._asking.shutdown()
        for admin in self._admins.values():
            admin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def follow(self, proxy: Policy[Proxy], items: Sequence[Resource]) -> None:
        """A push has written these load assignments for a proxy on files, and holds off everybody else who would."""
        spec = proxy.spec.push.files
        if spec is None:
            return
        with self._lock:
            folder = self._folders.get(proxy.key)
            if folder is None or folder.directory != spec.directory:
                folder = self._folders[proxy.key] = _Folder(proxy, spec.directory)
        folder.proxy = proxy
        folder.items = {**folder.items, **{item.id: item for item in items}}

    def adopt(self, proxies: Iterable[Policy[Proxy]], views: Mapping[Key, View]) -> Delivered:
        """Take note, after a pass, of what the proxies on files have. On ADS there is nothing to note.

        What changed before anybody had noted it is written now.

        Args:
            proxies: The whole fleet; others are forgotten.
            views: Of those that have theirs in force. A proxy that is not in here, because it could not be reached or refused it, is
                delivered what it was before.
        """
        members = {proxy.key: proxy for proxy in proxies if proxy.spec.push.files is not None}
        with self._lock:
            for key in self._folders.keys() - members.keys():
                del self._folders[key]
                self._due.pop(key, None)
        new = [proxy for key, proxy in members.items() if key in views]
        return _sum(self._pool.map(lambda proxy: self._adopt(proxy, views[proxy.key]), new))

    def deliver(self, hosts: Collection[str]) -> Delivered:
        """Endpoints of these hosts have changed: send and write the newest. Waits for nobody but the disk."""
        asked, since = frozenset(hosts), self._clock.monotonic()
        moved: dict[Key, Items] = {}
        if self._plane is not None:
            refreshed = self._plane.refresh(asked)
            moved = {key: {item.id: item for item in items} for key, items in refreshed.resources.items()}
            for key, items in moved.items():
                self._owe(key, _Due(since, items))
        with self._lock:
            folders = [folder for folder in self._folders.values() if folder.of(asked)]
        written = _sum(
            self._pool.map(lambda folder: self._write(folder, lambda: folder.of(asked)), folders)
        )  # fmt: skip
        bodies = [len(item.body) for items in moved.values() for item in items.values()]
        return replace(
            written,
            proxies=written.proxies | moved.keys(),
            resources=written.resources + len(bodies),
            bytes=written.bytes + sum(bodies),
        )

    def confirm(self, timeout: float) -> Confirmed:
        """Wait until the proxies have what was delivered since the last call, or something newer. By one thread at a time.

        Args:
            timeout: Seconds to wait for all of them together.
        """
        until = self._clock.monotonic() + timeout
        with self._lock:
            due, self._due = self._due, {}
            for key in self._admins.keys() - self._folders.keys():
                self._admins.pop(key).close()
        asked = {
            key: self._asking.submit(self._on_disk, item.files, item.items, until)
            for key, item in due.items()
            if item.files is not None
        }
        found = {
            key: on_stream(self._plane, key, item.items, clock=self._clock, until=until)
            for key, item in due.items()
            if item.files is None and self._plane is not None
        }
        found |= {key: answer.result() for key, answer in asked.items()}
        there = {key: item for key, item in found.items() if not item.late and not item.absent}
        return Confirmed(
            seconds=MappingProxyType({key: item.at - due[key].since for key, item in there.items()}),
            late=MappingProxyType({key: item.late for key, item in found.items() if item.late}),
            absent=MappingProxyType({key: item.absent for key, item in found.items() if item.absent}),
        )

    def _on_disk(self, folder: _Folder, items: Items, until: float) -> Arrival:
        """A push may have written some by another recipe since, or taken them away."""
        proxy, address = folder.proxy, folder.proxy.spec.admin

        def newest(item: Resource) -> Resource:
            return self.fresh(folder.items.get(item.id, item))

        with self._lock:
            admin = self._admins.get(proxy.key)
            if admin is None or admin.address != address:
                if admin is not None:
                    admin.close()
                admin = self._admins[proxy.key] = Admin(address, self._settings)
        there = {id_: item for id_, item in items.items() if id_ in folder.items}
        return on_disk(admin, there, fresh=newest, clock=self._clock, until=until)

    def _adopt(self, proxy: Policy[Proxy], view: View) -> _Written:
        """Take a view's load assignments for what lies on a proxy's disk, and see to it that it does."""
        spec = proxy.spec.push.files
        assert spec is not None  # noqa: S101 -- by who calls
        folder, items = _Folder(proxy, spec.directory), {id_: view.resources[id_] for id_ in view.discovered}
        with self._lock:
            known = self._folders.get(proxy.key)
            folder = known if known is not None and known.directory == spec.directory else folder
            self._folders[proxy.key] = folder
        folder.proxy = proxy
        before = folder.items
        new = [item for id_, item in items.items() if id_ not in before or before[id_].recipe is not item.recipe]

        def exchange() -> list[Resource]:
            folder.items = items
            return new

        return self._write(folder, exchange) if items or before else _Written(key=proxy.key)

    def _write(self, folder: _Folder, which: Callable[[], list[Resource]]) -> _Written:
        """Replace the files of these that are there and say something else. A file that is not there, nobody reads.

        What it is, is worked out while nobody else writes: neither a push nor this may put back what the other has replaced.
        """
        disk, since = Disk(folder.directory), self._clock.monotonic()
        try:
            with disk.alone():
                newest = {item.id: self.fresh(item) for item in which()}
                files = {id_: (path_of(disk.directory, id_), _body(item)) for id_, item in newest.items()}
                other = {id_: it for id_, it in files.items() if os.path.lexists(it[0]) and not disk.holds(*it)}
                disk.replace(list(other.values()))
        except WriteError as error:
            return _Written(key=folder.proxy.key, failure=error.diagnostics[0])
        self._owe(folder.proxy.key, _Due(since, {id_: newest[id_] for id_ in other}, folder))
        return _Written(key=folder.proxy.key, resources=len(other), bytes=sum(len(body) for _, body in other.values()))

    def _owe(self, key: Key, due: _Due) -> None:
        """Somebody has to confirm this: since the first of what is not confirmed yet."""
        if due.items:
            with self._lock:
                known = self._due.get(key, due)
                self._due[key] = replace(due, since=known.since, items={**known.items, **due.items})


def _body(item: Resource) -> bytes:
    return Content(item.id.type, item.id.name, (item,)).render()


def _sum(written: Iterable[_Written]) -> Delivered:
    every = list(written)
    return Delivered(
        proxies=frozenset(item.key for item in every if item.resources),
        resources=sum(item.resources for item in every),
        bytes=sum(item.bytes for item in every),
        failures=MappingProxyType({item.key: item.failure for item in every if item.failure is not None}),
    )
