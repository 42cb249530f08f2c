"""What Consul is known to have, and what of it has to be asked for again. Pure: it asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.discovery.contract import Event, Gone, Put
from reconciler.discovery.platforms.consul.reading import Entries, NonsenseError, entries, found, host_of
from reconciler.model.discovered import Found
from reconciler.model.discovery import Consul

_Check = tuple[str, str, str, Any]


def names_in(document: Any, spec: Consul) -> dict[str, tuple[str, ...]]:
    """Tags by service, of those that matter.

    Raises:
        NonsenseError: It is no answer of `/v1/catalog/services`.
    """
    if not isinstance(document, dict):
        raise NonsenseError("the services are no object")
    wanted = frozenset(spec.services)
    out: dict[str, tuple[str, ...]] = {}
    for name, tags in document.items():
        given = tuple(map(str, tags)) if isinstance(tags, list) else ()
        if (not wanted or name in wanted) and (not spec.tag or spec.tag in given):
            out[name] = given
    return out


def checks_in(document: Any) -> dict[tuple[str, str], _Check]:
    """Checks by node and id, without what changes all the time, such as their output.

    Raises:
        NonsenseError: It is no answer of `/v1/health/state/any`.
    """
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise NonsenseError("the checks are no list of objects")
    return {
        (str(item.get("Node")), str(item.get("CheckID"))): (
            str(item.get("Status")),
            str(item.get("ServiceID") or ""),
            str(item.get("ServiceName") or ""),
            item.get("CreateIndex"),
        )
        for item in document
    }


class Holdings:
    """Services as they were read last.

    Args:
        spec: Names the domain and the port.
    """

    def __init__(self, spec: Consul) -> None:
        self._spec = spec
        self._names: Mapping[str, tuple[str, ...]] = {}
        self._checks: Mapping[tuple[str, str], _Check] = {}
        self._entries: dict[str, Entries] = {}
        self._nodes: dict[str, set[str]] = {}
        self._hosts: dict[str, set[str]] = {}
        self._found: dict[str, Found] = {}
        self._problems: dict[str, tuple[str, ...]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All services."""
        return tuple(self._names)

    @property
    def services(self) -> Mapping[str, Found]:
        """By host."""
        return dict(self._found)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is left out of all of them, sorted."""
        return tuple(sorted({text for texts in self._problems.values() for text in texts}))

    def list_names(self, names: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
        """Take the names; those of which something is known to have changed, also those that are gone."""
        before, self._names = self._names, names
        return frozenset(name for name in before.keys() | names.keys() if before.get(name) != names.get(name))

    def list_checks(self, checks: Mapping[tuple[str, str], _Check]) -> frozenset[str]:
        """Take the checks; the services of those that have changed, or on whose nodes they have."""
        before, self._checks = self._checks, checks
        changed: set[str] = set()
        for key in before.keys() | checks.keys():
            old, new = before.get(key), checks.get(key)
            if old == new:
                continue
            for check in filter(None, (old, new)):
                changed |= {check[2]} if check[2] else self._nodes.get(key[0], set())
        return frozenset(changed & self._names.keys())

    def put(self, name: str, document: Any) -> frozenset[str]:
        """Take the instances of a service; the host, if it may have changed.

        Raises:
            NonsenseError: They are no list of instances.
        """
        new = entries(document, name)
        if self._entries.get(name) == new:
            return frozenset()
        for each in self._entries.pop(name, Entries()).usable:
            self._nodes.get(each.node, set()).discard(name)
        self._problems[name] = new.problems
        try:
            host = host_of(name, self._spec.domain)
        except NonsenseError as error:
            self._problems[name] = (str(error),)
            return frozenset()
        self._entries[name] = new
        for each in new.usable:
            self._nodes.setdefault(each.node, set()).add(name)
        self._hosts.setdefault(host, set()).add(name)
        return frozenset({host})

    def drop(self, name: str) -> frozenset[str]:
        """A service is gone; the host, if it may have changed."""
        hosts = self.put(name, [])
        self._entries.pop(name, None)
        self._problems.pop(name, None)
        for host in hosts:
            self._hosts[host].discard(name)
        return hosts

    def told(self, hosts: Iterable[str]) -> Iterator[Event]:
        """What there is to say of these hosts, in their order. A service without instances is none: so it is in Consul."""
        for host in sorted(hosts):
            given = [each for name in sorted(self._hosts.get(host, ())) for each in self._entries[name].usable]
            service, problems = found(host, given, self._spec) if given else (None, ())
            self._problems[f"{host}:"] = problems
            old = self._found.get(host)
            if service is None and old is not None:
                del self._found[host]
                yield Gone(host)
            elif service is not None and service != old:
                self._found[host] = service
                yield Put(service)
