"""Which localities a proxy's requests go to, and in what order: `localityLbSetting`, after Istio's `loadbalancer.go`.

With `distribute`, localities have shares. Otherwise, and only where outlier detection tells healthy endpoints from others,
endpoints have priorities: those nearest to the proxy come first, by the labels of `failoverPriority` and then by locality.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm

from reconciler.compile.effective import Effective
from reconciler.compile.viewer import Viewer
from reconciler.model.services import Endpoint
from reconciler.model.trafficpolicy import LocalityLB

_ANY = "*"
_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
_FINEST = 1_000_000
"""Shares are exact down to a millionth of a percent of the total; finer ones are rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How one viewer's requests spread over localities.

    Attributes:
        shares: Percent by locality pattern, most specific first; where there are any, nothing else holds.
        labels: What an endpoint should carry to be near, most important first.
        locality: The viewer's own, or "" if localities don't matter.
        next_region: The region that comes after the viewer's own, or "" for all others alike.
        asked: Whether a policy asks for priorities in so many words.
    """

    shares: tuple[tuple[str, int], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    locality: str = ""
    next_region: str = ""
    asked: bool = False


def spread(policy: Effective, viewer: Viewer) -> Spread | None:
    """How this viewer's requests spread, or None if localities don't matter to it.

    A viewer of unknown locality has no priorities by locality, and of the shares only those that are for `*`.
    """
    setting = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    if setting is not None and setting.enabled is False:
        return None
    if setting is not None and setting.distribute:
        rule = next((item for item in setting.distribute if _matches(viewer.locality, item.from_)), None)
        return Spread(shares=tuple(sorted(rule.to.items(), key=_specific))) if rule else None
    if policy.outlier_detection is None:
        return None
    return _priorities(setting or LocalityLB(), viewer, asked=setting is not None)


def _priorities(setting: LocalityLB, viewer: Viewer, *, asked: bool) -> Spread | None:
    own = _with_topology(dict(viewer.labels), viewer.locality)
    labels = tuple(
        (name, value if equals else own.get(name, ""))
        for name, equals, value in (item.partition("=") for item in setting.failover_priority)
    )
    by_locality = viewer.locality and (setting.failover or not labels)
    if not by_locality and not labels:
        return None
    region = viewer.locality.split("/")[0]
    target = next((item.to for item in setting.failover if item.from_ == region), "")
    return Spread(
        labels=labels,
        locality=viewer.locality if by_locality else "",
        next_region=target if by_locality else "",
        asked=asked,
    )


def priorities(spread_: Spread | None, endpoints: Iterable[Endpoint]) -> dict[tuple[int, int], int]:
    """Priorities by rank: as Envoy wants them, counted from 0 without a gap."""
    if spread_ is None or spread_.shares:
        return {}
    ranks = sorted({rank(spread_, endpoint) for endpoint in endpoints})
    return {value: number for number, value in enumerate(ranks)}


def rank(spread_: Spread, endpoint: Endpoint) -> tuple[int, int]:
    """How far away an endpoint is: by labels, the first that differs counting most, and then by locality."""
    carried = _with_topology(endpoint.labels, endpoint.locality)
    differing = (number for number, (name, value) in enumerate(spread_.labels) if carried.get(name, "") != value)
    first = next(differing, len(spread_.labels))
    return len(spread_.labels) - first, _distance(spread_, endpoint.locality) if spread_.locality else 0


def _distance(spread_: Spread, locality: str) -> int:
    mine, theirs = parts(spread_.locality), parts(locality)
    agreed = next((number for number in range(3) if mine[number] != theirs[number]), 3)
    if agreed:
        return 3 - agreed
    return 4 if spread_.next_region and theirs[0] != spread_.next_region else 3


def weights(spread_: Spread, sums: Mapping[str, int]) -> dict[str, int]:
    """Weights of localities by their shares; those without a share are absent.

    A share of several localities is divided by what their endpoints weigh together.

    Args:
        spread_: With shares.
        sums: What the endpoints of each locality weigh together.
    """
    owner = {
        place: next((number for number, (pattern, _) in enumerate(spread_.shares) if _matches(place, pattern)), None)
        for place in sums
    }
    exact: dict[str, Fraction] = {}
    for place, number in owner.items():
        if number is not None:
            total = sum(sums[other] for other, theirs in owner.items() if theirs == number)
            exact[place] = Fraction(spread_.shares[number][1] * sums[place], total)
    scale = min(lcm(*(item.denominator for item in exact.values())), _FINEST)
    return {place: ceil(item * scale) for place, item in exact.items() if item}


def _matches(locality: str, pattern: str) -> bool:
    """Whether a locality is in a pattern, whose missing and `*` parts take anything."""
    wanted = parts(pattern)
    return all(
        want in {_ANY, have} or (number > 0 and not want)
        for number, (want, have) in enumerate(zip(wanted, parts(locality), strict=True))
    )


def _specific(share: tuple[str, int]) -> tuple[int, str]:
    pattern = share[0]
    return (-sum(1 for part in parts(pattern) if part not in {"", _ANY}), pattern)


def parts(locality: str) -> tuple[str, str, str]:
    """Region, zone and sub-zone of `region/zone/subzone`, "" for what is missing."""
    region, _, rest = locality.partition("/")
    zone, _, subzone = rest.partition("/")
    return region, zone, subzone


def _with_topology(labels: Mapping[str, str], locality: str) -> dict[str, str]:
    """Labels, with those that Kubernetes and Istio give nodes for their locality."""
    known = {name: part for name, part in zip(_TOPOLOGY, parts(locality), strict=True) if part}
    return known | dict(labels)
