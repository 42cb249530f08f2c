"""What etcd is known to have. Pure: it asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.discovery.contract import Event, Gone, Put
from reconciler.discovery.platforms.etcd.reading import Entry, NonsenseError, entry, service
from reconciler.model.discovered import Found, Instance
from reconciler.model.discovery import Etcd


class Holdings:
    """Keys with their instances, and the services that these make.

    Args:
        spec: How keys are read.
        domain: The mesh's, for short hosts.
    """

    def __init__(self, spec: Etcd, *, domain: str) -> None:
        self._spec = spec
        self._domain = domain
        self._entries: dict[bytes, Entry] = {}
        self._hosts: dict[str, dict[bytes, Instance]] = {}
        self._found: dict[str, Found] = {}
        self._problems: dict[bytes, str] = {}

    @property
    def services(self) -> Mapping[str, Found]:
        """By host."""
        return dict(self._found)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is left out, sorted."""
        return tuple(sorted(self._problems.values()))

    def put(self, key: bytes, value: bytes) -> frozenset[str]:
        """A key has this value; hosts that may have changed."""
        before = self.drop(key)
        try:
            new = entry(key, value, self._spec, domain=self._domain)
        except NonsenseError as error:
            self._problems[key] = str(error)
            return before
        if new is None:
            return before
        self._entries[key] = new
        self._hosts.setdefault(new.host, {})[key] = new.instance
        return before | {new.host}

    def drop(self, key: bytes) -> frozenset[str]:
        """A key is gone; hosts that may have changed."""
        self._problems.pop(key, None)
        old = self._entries.pop(key, None)
        if old is None:
            return frozenset()
        del self._hosts[old.host][key]
        return frozenset({old.host})

    def told(self, hosts: Iterable[str]) -> Iterator[Event]:
        """What there is to say of these hosts. A service without a key is none: that it was one, no key says any more."""
        for host in sorted(hosts):
            instances = self._hosts.get(host)
            if not instances:
                self._hosts.pop(host, None)
                if self._found.pop(host, None) is not None:
                    yield Gone(host)
                continue
            new = service(host, instances.values(), self._spec)
            if new != self._found.get(host):
                self._found[host] = new
                yield Put(new)
