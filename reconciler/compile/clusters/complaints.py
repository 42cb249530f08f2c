"""What should be known of a cluster because of the endpoints that it has."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.compile.clusters import outliers
from reconciler.compile.clusters.discovery import Discovery
from reconciler.compile.clusters.endpoints import localities, members
from reconciler.compile.clusters.localities import Spread, priorities
from reconciler.compile.clusters.subject import Subject
from reconciler.errors import Severity
from reconciler.model.origin import Finding
from reconciler.model.services import Endpoint


def complaints(subject: Subject, found: Discovery, near: Spread | None) -> tuple[Finding, ...]:
    """What is odd for the endpoints that there are. Not said of a discovered service: what is true of them comes and goes with them."""
    if subject.service is not None and subject.service.discovered and found is Discovery.PUSHED:
        return ()
    chosen = members(subject, found)
    ejecting = outliers.complaints(subject, len(chosen)) if found is Discovery.PUSHED else ()
    return (*_locality_complaints(subject, near, chosen), *ejecting)


def _locality_complaints(
    subject: Subject, near: Spread | None, chosen: Iterable[tuple[Endpoint, int]]
) -> tuple[Finding, ...]:
    """Outlier detection that, as in Istio, keeps requests in the proxy's locality without anybody having said so."""
    items = tuple(chosen)
    if near is None or near.asked or len(priorities(near, (endpoint for endpoint, _ in items))) <= 1:
        return ()
    places = ", ".join(place or "nowhere known" for place in localities(items))
    finding = subject.finding(
        code="locality-failover",
        message=f"with outlier detection, requests for {subject.ref.host} stay in the caller's locality while it is healthy; "
        f"its endpoints are in {places}",
        block="outlier_detection",
        hint="say that you want it with `loadBalancer: {localityLbSetting: {enabled: true}}`, or write `enabled: false`",
        severity=Severity.WARNING,
    )
    return (finding,)
