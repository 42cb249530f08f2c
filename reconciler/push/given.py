"""Which versions of a load assignment count, while its endpoints change: what was sent, and whatever it has become since. Sends nothing."""

from __future__ import annotations

from reconciler.model.resource import Resource
from reconciler.xds import Fresh


class Given:
    """The versions that one load assignment has had since this was made. Not for two threads at once.

    One look at a proxy may show a version that was replaced before the look, so those that were seen to be the newest count too.

    Args:
        item: As it was sent.
        fresh: What it is now.
    """

    def __init__(self, item: Resource, fresh: Fresh) -> None:
        self._item = item
        self._fresh = fresh
        self._versions = {item.version}

    def __contains__(self, version: object) -> bool:
        self._versions.add(self._fresh(self._item).version)
        return version in self._versions
