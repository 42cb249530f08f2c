"""Who gets copies of requests. Envoy appends `-shadow` to the host of a copy, as it does in Istio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.compile.routes.destinations import Destinations
from reconciler.compile.routes.percentages import fraction, whole
from reconciler.compile.routes.rules import RouteRule
from reconciler.model.origin import FieldPath
from reconciler.model.virtualservice import Destination, HTTPRoute


def fill_mirrors(action: Any, rule: RouteRule, destinations: Destinations) -> None:
    """Add the mirrors of a rule; one that gets 0% is left out, as in Istio."""
    for destination, share, path in _mirrors(rule.spec):
        if share.numerator:
            ref = destinations.cluster(destination, owner=rule.owner, path=(*rule.path, *path))
            policy = action.request_mirror_policies.add(cluster=ref.name)
            policy.runtime_fraction.default_value.CopyFrom(share)
            policy.trace_sampled.value = False


def _mirrors(rule: HTTPRoute) -> Iterator[tuple[Destination, Any, FieldPath]]:
    if rule.mirror is not None:
        yield rule.mirror, _share(rule), ("mirror",)
    for number, item in enumerate(rule.mirrors):
        share = whole(100) if item.percentage is None else fraction(item.percentage)
        yield item.destination, share, ("mirrors", number, "destination")


def _share(rule: HTTPRoute) -> Any:
    if rule.mirror_percentage is not None:
        return fraction(rule.mirror_percentage)
    return whole(100 if rule.mirror_percent is None else rule.mirror_percent)
