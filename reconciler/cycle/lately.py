"""Hosts that registries listed until lately: that something of them goes is no matter of Git's. For the plan stage of passes."""

from __future__ import annotations

from collections import OrderedDict

from reconciler.cycle.desired import Desired
from reconciler.model.discovery import Registry

_MOST = 10_000
"""Hosts that are remembered; those that went first are forgotten first."""


class Lately:
    """They, from pass to pass."""

    def __init__(self) -> None:
        self._registries: tuple[Registry, ...] = ()
        self._hosts: OrderedDict[str, None] = OrderedDict()

    def listed(self, desired: Desired) -> frozenset[str]:
        """Hosts that only registries declare, or did in a pass before this one with the same registries.

        With others in Git it is Git that took away what these listed.
        """
        registries, now = desired.mesh.settings.discovery, desired.listed
        if registries != self._registries:
            self._registries, self._hosts = registries, OrderedDict()
        for host in now:
            self._hosts[host] = None
            self._hosts.move_to_end(host)
        while len(self._hosts) > max(_MOST, len(now)):
            self._hosts.popitem(last=False)
        declared = {service.host for service in desired.declared_services}
        return now.union(self._hosts.keys() - declared)
