"""How a push writes files of which some change without it: as they are now, and told to whoever writes them beside it.

Stands between `files` and `disk`. Whoever writes a load assignment works out what it is while nobody else can write there, so that no
file ever becomes older.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import Resource
from reconciler.push.disk import Disk
from reconciler.push.layout import Layout
from reconciler.xds import Fresh

Follow = Callable[[Policy[Proxy], Sequence[Resource]], None]
"""Told which load assignments with recipes are on a proxy's disk now, by whom they are kept the newest from then on; must not wait."""


def unfollowed(proxy: Policy[Proxy], items: Sequence[Resource]) -> None:
    """Where nothing is written but by a pass."""
    del proxy, items


class Writer:
    """Writes one proxy's files. All methods raise `WriteError`."""

    def __init__(self, proxy: Policy[Proxy], *, disk: Disk, fresh: Fresh, follow: Follow) -> None:
        self._proxy = proxy
        self._disk = disk
        self._fresh = fresh
        self._follow = follow

    def replace(self, files: Layout) -> None:
        """Put these in place, in this order, with the endpoints that are known then."""
        with self._disk.alone():
            newest = {path: content.newest(self._fresh) for path, content in files.items()}
            self._disk.replace([(path, content.render()) for path, content in newest.items()])
            self._followed(newest)

    def follow(self, files: Layout) -> None:
        """These are in place already."""
        with self._disk.alone():
            self._followed(files)

    def _followed(self, files: Layout) -> None:
        """Somebody else keeps these the newest from now on; what changed since they were worked out, nobody knew to be this proxy's."""
        moving = {path: content for path, content in files.items() if content.moves}
        if moving:
            self._follow(self._proxy, [content.resources[0] for content in moving.values()])
        while late := {path: now for path, old in moving.items() if (now := old.newest(self._fresh)) != old}:
            self._disk.replace([(path, content.render()) for path, content in late.items()])
            moving |= late
