"""Hosts that no service has, each said once: one that is missing is often named in many places.

Not for the check of one VirtualService alone: what is said, and where, depends on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from reconciler.errors import Severity
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.virtualservice import Destination, VirtualService
from reconciler.policy.findings import LISTED, close
from reconciler.policy.references.index import Index
from reconciler.policy.references.parts import destinations


@dataclass(frozen=True, slots=True)
class _Mention:
    """Where a host is named, and what comes of its not being there: the higher the rank, the worse."""

    policy: Policy[Any]
    path: FieldPath
    rank: int
    effect: str
    hint: str = ""


_RULE, _ROUTED, _SENT_TO = range(3)

_SLIPS = 100
"""Missing hosts that are held against all others, 20 ms each among a thousand; where more are missing, it isn't for slips."""


def check_hosts(index: Index) -> Iterator[Finding]:
    """Of every host that is named and that no service has: one finding, at the place where it matters most."""
    found: dict[str, list[_Mention]] = {}
    for host, mention in _mentions(index):
        found.setdefault(host, []).append(mention)
    for number, (host, mentions) in enumerate(found.items()):
        awaited = index.providers.may_list(host)
        if not (awaited and host.startswith("*")):  # which hosts there are under it is for registries to know
            first = _first(mentions)
            item = _finding(host, first, len(mentions) - 1, index, slip=number < _SLIPS)
            yield _awaiting(item, host, first) if awaited else item


def _mentions(index: Index) -> Iterator[tuple[str, _Mention]]:
    for policy in index.mesh.virtual_services:
        yield from _routed(policy, index)
        for _, path, destination in destinations(policy.spec):
            yield from _sent_to(policy, destination, path, index)
    for sidecar in index.mesh.sidecars:
        unknown = sidecar.spec.outbound_traffic_policy
        if unknown is not None and unknown.egress_proxy is not None:
            yield from _sent_to(sidecar, unknown.egress_proxy, ("outboundTrafficPolicy", "egressProxy"), index)
    for rule in index.mesh.destination_rules:
        host = index.host(rule.spec.host, rule.key)
        if not index.served(host):
            yield host, _Mention(rule, ("host",), _RULE, ", so this rule does nothing")
    for check in index.mesh.health_checks:
        host = index.host(check.spec.host, check.key)
        if host not in index.services and not index.may_be_service(host):
            yield host, _Mention(check, ("host",), _RULE, ", so nothing is checked")


def _sent_to(
    policy: Policy[Any], destination: Destination, path: FieldPath, index: Index
) -> Iterator[tuple[str, _Mention]]:
    host = index.host(destination.host, policy.key)
    service = index.service(host)
    if (service is not None and service.host == host) or index.may_be_service(host):
        return
    hint = ""
    if service is not None:
        hint = f"{service.host} takes requests for it, but only a host by name can be sent to: add {host} to its hosts"
    yield host, _Mention(policy, (*path, "host"), _SENT_TO, "", hint)


def _routed(policy: Policy[VirtualService], index: Index) -> Iterator[tuple[str, _Mention]]:
    """Hosts that sidecars route, as far as they can without a service of their own."""
    if not index.bound(policy)[0]:
        return
    for position, name in enumerate(policy.spec.hosts):
        host = index.host(name, policy.key)
        wild = index.service(host)
        path = ("hosts", position)
        if not index.served(host):
            effect = ", so sidecars use these rules for it on port 80 and HTTP_PROXY ports only"
            yield host, _Mention(policy, path, _ROUTED, effect)
        elif wild is not None and wild.host != host and {port.number for port in wild.ports} != {80}:
            hint = f"elsewhere it is {wild.host}: add {host} to the hosts of that ServiceEntry"
            effect = " by name, so sidecars use these rules for it on port 80 and HTTP_PROXY ports only"
            yield host, _Mention(policy, path, _ROUTED, effect, hint)


def _first(mentions: list[_Mention]) -> _Mention:
    """Of the worst ones."""
    worst = max(mention.rank for mention in mentions)
    return min(
        (mention for mention in mentions if mention.rank == worst),
        key=lambda item: (item.policy.origin.file, item.policy.origin.document),
    )


def _finding(host: str, first: _Mention, more: int, index: Index, *, slip: bool) -> Finding:
    named = f" (it is named in {more} more {'place' if more == 1 else 'places'})" if more else ""
    return Finding(
        code="ref-host",
        message=f"no service has the host {host}{first.effect}{named}",
        hint=first.hint or (slip and close(host, index.services)) or _advice(host, first.rank, index),
        severity=Severity.ERROR if first.rank == _SENT_TO else Severity.WARNING,
        origin=first.policy.origin,
        path=("spec", *first.path),
    )


def _awaiting(item: Finding, host: str, first: _Mention) -> Finding:
    """The same of a host that a registry may list: then nothing is wrong."""
    what = first.effect.partition(", so ")[2] or "requests to it fail"
    message = f"no document declares the host {host}; unless a registry lists it, {what}"
    hint = item.hint if item.hint.startswith("did you mean") else LISTED
    return replace(item, message=message, hint=hint, severity=Severity.WARNING, awaits=host)


def _advice(host: str, rank: int, index: Index) -> str:
    """What to do about a host that isn't a slip of another."""
    unread = host.endswith(f".svc.{index.mesh.settings.domain}") and not index.providers.clusters
    note = "; Kubernetes Services are not read" if unread else ""
    if rank == _SENT_TO:
        return f"add a ServiceEntry with this host{note}"
    if rank == _ROUTED:
        return f"add a ServiceEntry if requests come in on other ports, or remove the host{note}"
    return f"add a ServiceEntry, or remove the document{note}"
