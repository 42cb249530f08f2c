"""The parts of a VirtualService that refer to other documents, with their paths below `spec`."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.origin import FieldPath
from reconciler.model.virtualservice import Destination, HTTPMatch, L4Match, TCPRoute, TLSRoute, VirtualService
from reconciler.policy.references.destinations import Carried


def destinations(spec: VirtualService) -> Iterator[tuple[Carried, FieldPath, Destination]]:
    """Every destination, those of copies too, and what is sent to it."""
    for position, rule in enumerate(spec.http):
        for number, share in enumerate(rule.route):
            yield Carried.HTTP, ("http", position, "route", number, "destination"), share.destination
        if rule.mirror is not None:
            yield Carried.HTTP, ("http", position, "mirror"), rule.mirror
        for number, copies in enumerate(rule.mirrors):
            yield Carried.HTTP, ("http", position, "mirrors", number, "destination"), copies.destination
    for kind, connections in _connections(spec):
        for position, item in enumerate(connections):
            for number, part in enumerate(item.route):
                yield kind, (kind.value, position, "route", number, "destination"), part.destination


def matches(spec: VirtualService) -> Iterator[tuple[FieldPath, HTTPMatch | L4Match]]:
    """Every match of every rule."""
    for position, rule in enumerate(spec.http):
        for number, match in enumerate(rule.match):
            yield ("http", position, "match", number), match
    for kind, connections in _connections(spec):
        for position, item in enumerate(connections):
            for number, condition in enumerate(item.match):
                yield (kind.value, position, "match", number), condition


def _connections(spec: VirtualService) -> tuple[tuple[Carried, tuple[TLSRoute | TCPRoute, ...]], ...]:
    return (Carried.TLS, spec.tls), (Carried.TCP, spec.tcp)
