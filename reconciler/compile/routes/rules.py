"""The rules of a VirtualService as they are translated: delegates in their place, and what the outcome can depend on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from reconciler.compile.viewer import Place
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.virtualservice import HTTPRoute, VirtualService


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """One rule.

    Attributes:
        owner: The document whose namespace names are meant in, and that findings point at: a delegate's own.
        path: Where it stands there.
        failure: Why it can't be translated, or "".
    """

    spec: HTTPRoute
    owner: Policy[VirtualService]
    path: FieldPath
    failure: str = ""

    @property
    def written(self) -> str:
        """The name that it has where it stands, or that of the rule it is made from; a delegate's has the root's before its own."""
        place = int(self.path[-1])
        if self.owner.made_from:
            place = len(self.owner.made_from) - 1 - self.owner.made_from[::-1].index(place)
        return self.owner.spec.http[place].name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of a VirtualService.

    Attributes:
        policy: The VirtualService that has the hosts.
        hosts: In full, the destinations whose DestinationRules have a say in the routes.
        looks_at: What of a place the routes depend on beside its port: `tls`, `gateways`, `labels`, `namespace`.
    """

    policy: Policy[VirtualService]
    rules: tuple[RouteRule, ...]
    hosts: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    looks_at: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        policy: Policy[VirtualService],
        rules: Sequence[RouteRule],
        hosts: Iterable[str],
        findings: Iterable[Finding],
    ) -> Self:
        """Rules, with what they look at."""
        matches = [match for rule in rules for match in rule.spec.match]
        looks = {
            "tls": any(rule.spec.redirect is not None for rule in rules),
            "gateways": any(match.gateways for match in matches),
            "labels": any(match.source_labels for match in matches),
            "namespace": any(match.source_namespace for match in matches),
        }
        return cls(
            policy=policy,
            rules=tuple(rules),
            hosts=tuple(hosts),
            findings=tuple(findings),
            looks_at=frozenset(name for name, used in looks.items() if used),
        )

    def facets(self, place: Place) -> tuple[object, ...]:
        """As much of a place as the routes depend on: places with equal facets, and equal DestinationRules, share them."""
        return (
            place.port,
            place.tls if "tls" in self.looks_at else None,
            place.gateways if "gateways" in self.looks_at else None,
            place.viewer.labels if "labels" in self.looks_at else None,
            place.viewer.namespace if "namespace" in self.looks_at else None,
        )
