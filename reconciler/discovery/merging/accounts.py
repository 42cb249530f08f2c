"""Service accounts that instances of a service have had: whom callers trust although no instance has them at the moment.

The accounts of a service are part of clusters, which only passes change. Without a memory a rolling restart of the only instance with
an account would take it out of every caller's cluster and put it back a moment later, by two passes, and new connections would be
made for nothing. So an account stays as long as registries list the service: one that is not used any more is trusted until the
service is gone, the process ends, or another commit says something else of who its instances are. Nobody has such an identity but
whom the mesh's authority gives it to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

_NONE: frozenset[str] = frozenset()


class Accounts:
    """They, by host. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[object, frozenset[str]]] = {}

    def with_these(self, host: str, accounts: frozenset[str], *, basis: object) -> frozenset[str]:
        """These, and those that were known of the host before; from now on these are known too.

        Args:
            host: The service.
            accounts: That its instances have now.
            basis: By what policies say whose instances these are. On another one than before, what was known is forgotten.
        """
        with self._lock:
            before = self._known.get(host)
            known = before[1] if before is not None and before[0] == basis else _NONE
            if not accounts <= known:
                known |= accounts
            self._known[host] = basis, known
            return known

    def forget(self, hosts: Iterable[str]) -> None:
        """Registries list these no more."""
        with self._lock:
            for host in hosts:
                self._known.pop(host, None)
