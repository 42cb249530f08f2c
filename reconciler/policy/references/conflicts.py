"""VirtualServices of one host that can't be put together: two rules that take every request.

Several documents may have rules for a host; they are put together, and what takes everything goes last. Of two such rules
the second would never be used. Istio drops it silently, here both are named. Rules that hold for some proxies or ports only
are left to the compiler, which knows where two of them meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.model.hosts import fqdn
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.virtualservice import MESH_GATEWAY, HTTPMatch, HTTPRoute, VirtualService
from reconciler.model.visibility import EVERYBODY, exported

_NO_CONDITIONS = frozenset({"name", "uri", "ignore_uri_case", "stat_prefix"})
"""Fields of a match that ask for nothing, and the path, which is looked at by itself."""


@dataclass(frozen=True, slots=True)
class _Taker:
    """A rule that takes every request of its hosts."""

    policy: Policy[VirtualService]
    rule: int
    seen_by: frozenset[str]


def check_conflicts(policies: Iterable[Policy[VirtualService]], domain: str) -> list[Finding]:
    """A finding at every rule that takes everything of a host, as another document's does for the same proxies."""
    takers: dict[tuple[str, str], list[_Taker]] = {}
    for policy in policies:
        number = next((number for number, rule in enumerate(policy.spec.http) if _takes_all(rule)), None)
        if number is not None:
            taker = _Taker(policy, number, exported(policy.spec.export_to, policy.key.namespace))
            for place in _places(policy, domain):
                takers.setdefault(place, []).append(taker)
    found = (_finding(host, taker, group) for (_, host), group in takers.items() for taker in group if len(group) > 1)
    return list(dict.fromkeys(finding for finding in found if finding is not None))


def _places(policy: Policy[VirtualService], domain: str) -> Iterator[tuple[str, str]]:
    """Each gateway and each host of it, in full."""
    gateways = [name if name == MESH_GATEWAY else str(policy.resolve(name)) for name in policy.spec.gateways]
    hosts = [fqdn(name, namespace=policy.key.namespace, domain=domain) for name in policy.spec.hosts]
    yield from dict.fromkeys((gateway, host) for gateway in gateways or [MESH_GATEWAY] for host in hosts)


def _finding(host: str, taker: _Taker, group: Sequence[_Taker]) -> Finding | None:
    own = taker.policy.origin
    other = next((item.policy for item in group if item.policy.origin != own and _meet(item, taker)), None)
    if other is None:
        return None
    where = f"{other.kind} {other.key.short()} in {other.origin.file}"
    if other.origin.file == own.file:
        where += f", document {other.origin.document + 1}"
    return Finding(
        code="conflicting-hosts",
        message=f"this rule takes every request for {host}, and so does one of {where}",
        hint="keep one of the two, or give one of them a match",
        origin=own,
        path=("spec", "http", taker.rule),
    )


def _meet(one: _Taker, other: _Taker) -> bool:
    """Whether any proxy may see both."""
    if not one.seen_by or not other.seen_by:
        return False
    return bool(one.seen_by & other.seen_by) or bool(EVERYBODY & (one.seen_by | other.seen_by))


def _takes_all(rule: HTTPRoute) -> bool:
    """Whether every request of every proxy matches. What a delegate takes depends on the delegate."""
    return rule.delegate is None and (not rule.match or any(_is_open(match) for match in rule.match))


def _is_open(match: HTTPMatch) -> bool:
    if any(getattr(match, name) for name in match.model_fields_set - _NO_CONDITIONS):
        return False
    return match.uri is None or match.uri.prefix == "/" or match.uri.regex == ".*"
