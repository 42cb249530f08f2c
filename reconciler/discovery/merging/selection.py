"""Instances that a ServiceEntry selects by its `workloadSelector`, as in Istio it selects pods of its namespace.

Which those are depends on every service that registries list in the namespace, so it is followed from one catalogue to the next:
a service that has changed is looked through again, and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model.discovered import Found, Instance
from reconciler.model.services import selected

Place = tuple[int, str]
"""Where instances come from: the position of their registry, and the host that they are listed under."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Of the service of one host."""

    host: str
    namespace: str
    labels: Mapping[str, str]


class Selection:
    """The selectors of some services, and what they select.

    Args:
        selectors: One for each host that has one.
    """

    def __init__(self, selectors: Iterable[Selector] = ()) -> None:
        self._by_namespace: dict[str, list[Selector]] = {}
        self._by_label: dict[tuple[str, str, str], list[Selector]] = {}
        self._every: dict[str, list[Selector]] = {}
        self._matches: dict[str, dict[Place, tuple[Instance, ...]]] = {}
        self._hosts: dict[Place, tuple[str, frozenset[str]]] = {}
        self._listed: dict[str, int] = {}
        for item in selectors:
            self._by_namespace.setdefault(item.namespace, []).append(item)
            self._matches[item.host] = {}
            if item.labels:
                self._by_label.setdefault((item.namespace, *min(item.labels.items())), []).append(item)
            else:
                self._every.setdefault(item.namespace, []).append(item)

    def replace(self, place: Place, found: Found | None) -> set[str]:
        """A registry lists something else, or nothing any more, for a host: the hosts whose selectors this concerns."""
        affected: set[str] = set()
        before = self._hosts.pop(place, None)
        if before is not None:
            namespace, hosts = before
            for host in hosts:
                self._matches[host].pop(place, None)
            affected |= hosts | self._count(namespace, -1)
        if found is not None and found.namespace in self._by_namespace:
            chosen = self._chosen(found)
            for host, instances in chosen.items():
                self._matches[host][place] = tuple(instances)
            self._hosts[place] = (found.namespace, frozenset(chosen))
            affected |= chosen.keys() | self._count(found.namespace, +1)
        return affected

    def of(self, host: str) -> tuple[tuple[Place, tuple[Instance, ...]], ...]:
        """What the selector of a host selects, in the order of registries and then of hosts."""
        return tuple(sorted(self._matches.get(host, {}).items(), key=lambda item: item[0]))

    def may_select(self, host: str, namespace: str) -> bool:
        """Whether registries list anything that the selector of this host could select, by its labels or by others."""
        return host in self._matches and self._listed.get(namespace, 0) > 0

    def _count(self, namespace: str, change: int) -> set[str]:
        """Those for whom there is something at all now, or nothing any more."""
        before = self._listed.get(namespace, 0)
        self._listed[namespace] = before + change
        first_or_last = 0 in {before, before + change}
        return {item.host for item in self._by_namespace.get(namespace, ())} if first_or_last else set()

    def _chosen(self, found: Found) -> dict[str, list[Instance]]:
        out: dict[str, list[Instance]] = {}
        for instance in found.instances:
            for selector in self._every.get(found.namespace, ()):
                self._note(out, selector, found, instance)
            for label in instance.labels.items():
                for selector in self._by_label.get((found.namespace, *label), ()):
                    if selected(instance.labels, selector.labels):
                        self._note(out, selector, found, instance)
        return out

    @staticmethod
    def _note(out: dict[str, list[Instance]], selector: Selector, found: Found, instance: Instance) -> None:
        if selector.host != found.host:  # it has those as its own
            out.setdefault(selector.host, []).append(instance)
