"""Hosts of services that two documents declare, and hosts that stand twice in one document.

Istio keeps the oldest of what collides and drops the rest silently; here both are named. VirtualServices may share a host: what
of them can't be put together is said by `conflicts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.errors import Severity
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.visibility import exported, visible
from reconciler.policy.references.index import Index

_CODE = "ref-duplicate-host"


def check_claims(index: Index) -> Iterator[Finding]:
    """Services with one host, and one host by two names in one document."""
    yield from _check_services(index)
    for policy in index.mesh.virtual_services:
        yield from _check_again(policy, index)
    if not index.has_sidecars:
        yield from _check_addresses(index)


def other_words(other: Policy[Any], policy: Policy[Any]) -> str:
    """Another document, and where it is."""
    where = f"{other.kind} {other.key.short()} in {other.origin.file}"
    return f"{where}, document {other.origin.document + 1}" if other.origin.file == policy.origin.file else where


def overlap(one: Policy[Any], other: Policy[Any]) -> bool:
    """Whether anybody sees both of two documents, by their `exportTo`."""
    to, also = (exported(item.spec.export_to, item.key.namespace) for item in (one, other))
    return any(visible(also, namespace) for namespace in to) or any(visible(to, namespace) for namespace in also)


def _check_services(index: Index) -> Iterator[Finding]:
    claims: dict[str, list[tuple[Policy[Any], FieldPath]]] = {}
    for policy in index.mesh.service_entries:
        yield from _check_again(policy, index)
        hosts = {index.host(name, policy.key): position for position, name in enumerate(policy.spec.hosts)}
        for host, position in hosts.items():
            claims.setdefault(host, []).append((policy, ("spec", "hosts", position)))
    for host, group in claims.items():
        for number, (policy, path) in enumerate(group if len(group) > 1 else ()):
            other = group[1 if number == 0 else 0][0]
            message = f"{host} is a host of another document too: {other_words(other, policy)}"
            hint = "write its ports and endpoints in one of them"
            yield Finding(code=_CODE, message=message, hint=hint, origin=policy.origin, path=path)


def _check_addresses(index: Index) -> Iterator[Finding]:
    """Connections that nothing but their address tells apart; where there are sidecars, `compile` says it of each."""
    taken: dict[tuple[str, int], Policy[Any]] = {}
    for policy in index.mesh.service_entries:
        ports = [port for port in policy.spec.ports if not (port.protocol.is_http or port.protocol.is_tls)]
        for position, address in enumerate(policy.spec.addresses):
            for port in ports:
                other = taken.setdefault((address, port.number), policy)
                if other is not policy and overlap(other, policy):
                    where = f"{address}:{port.number}"
                    yield Finding(
                        code="ref-duplicate-address",
                        message=f"connections to {where} are for {other_words(other, policy)} too, and go to that one",
                        hint="give one of the two another address or port",
                        severity=Severity.WARNING,
                        origin=policy.origin,
                        path=("spec", "addresses", position),
                    )


def _check_again(policy: Policy[Any], index: Index) -> Iterator[Finding]:
    """A host that stands in one document by its short and by its full name."""
    seen: set[str] = set()
    for position, name in enumerate(policy.spec.hosts):
        host = index.host(name, policy.key)
        if host in seen and name not in policy.spec.hosts[:position]:
            message = f"{host} is in this document already, under a shorter or longer name"
            path = ("spec", "hosts", position)
            yield Finding(code=_CODE, message=message, hint="keep one of the two", origin=policy.origin, path=path)
        seen.add(host)
