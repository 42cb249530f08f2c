"""The rules of a VirtualService as they are translated: delegates in their place, and what the outcome can depend on."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of a VirtualService.

    Attributes:
        policy: The VirtualService that has the hosts.
        hosts: In full, the destinations whose DestinationRules have a say in the routes.
    """

    policy: Policy[VirtualService]
    rules: tuple[RouteRule, ...]
    hosts: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def facets(self, place: Place) -> tuple[object, ...]:
        """As much of a place as the routes depend on: places with equal facets, and equal DestinationRules, share them."""
        matches = [match for rule in self.rules for match in rule.spec.match]
        redirects = any(rule.spec.redirect is not None for rule in self.rules)
        return (
            place.port,
            place.tls if redirects else None,
            place.gateways if any(match.gateways for match in matches) else None,
            place.viewer.labels if any(match.source_labels for match in matches) else None,
            place.viewer.namespace if any(match.source_namespace for match in matches) else None,
        )
