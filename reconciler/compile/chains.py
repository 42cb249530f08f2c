"""Which connections filter chains take, and how several stand beside each other in one listener.

Envoy refuses a listener in which one connection could be two chains', so every predicate is given out once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace

from reconciler.compile.listeners import Chain

Predicate = tuple[str, str]
"""A server name (or `tls` for any, or "" for every connection) and a prefix (or "" for every address)."""

_ANYWHERE = ""


def distinct(chains: Iterable[Chain]) -> tuple[Chain, ...]:
    """Chains without what earlier ones take already: Envoy refuses a listener with two chains for one connection.

    Only server names and prefixes are looked at, so the chains must agree in everything else that is matched.
    """
    taken: set[Predicate] = set()
    found: list[Chain] = []
    for chain in chains:
        parts, _ = free(chain, taken)
        found.extend(parts)
    return tuple(found)


def matching(chain: Chain, server_names: Sequence[str]) -> Chain:
    """A chain for these server names, as Envoy takes them: `*` is any TLS connection, with a name or without."""
    if "*" in server_names:
        return replace(chain, transport="tls")
    return replace(chain, server_names=tuple(dict.fromkeys(name.lower() for name in server_names)))


def cidr(text: str) -> str:
    """An address or block in the one form in which equal ones are equal: `10.0.0.0/8`; "" if it is neither."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return ""


def predicates(chain: Chain) -> list[Predicate]:
    """What of a connection a chain looks at, as every pair of a server name and a prefix."""
    names = chain.server_names or (chain.transport or _ANYWHERE,)
    return [(name, prefix) for name in names for prefix in chain.prefixes or (_ANYWHERE,)]


def free(chain: Chain, taken: set[Predicate]) -> tuple[list[Chain], list[Predicate]]:
    """What of a chain is not taken yet, as chains, and what is; takes it."""
    wanted = dict.fromkeys(predicates(chain))
    lost = [predicate for predicate in wanted if predicate in taken]
    taken.update(wanted)
    if not lost:
        return [chain], lost
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in chain.server_names or (_ANYWHERE,):
        word = name or chain.transport
        free = tuple(prefix for prefix in chain.prefixes or (_ANYWHERE,) if (word, prefix) not in lost)
        if free:
            groups.setdefault(free, []).append(name)
    return [
        replace(
            chain,
            name=chain.name if number == 0 else f"{chain.name}.{number}",
            server_names=tuple(name for name in names if name),
            prefixes=tuple(prefix for prefix in prefixes if prefix),
        )
        for number, (prefixes, names) in enumerate(groups.items())
    ], lost
