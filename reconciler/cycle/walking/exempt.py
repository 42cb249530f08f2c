"""Splits that the guard against large increases lets pass: a rollout's own steps, which were reviewed with the rollout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.cycle.desired import Desired
from reconciler.cycle.walking.scope import mapped_routes, scope
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.rollout import Phase
from reconciler.model.splits import targeted
from reconciler.model.virtualservice import VirtualService
from reconciler.plan import Split, splits
from reconciler.rollouts.course import Course, course_of, same_weight
from reconciler.rollouts.weights import service_of, standing


def stepping(desired: Desired, aborted: Mapping[Key, str]) -> tuple[Split, ...]:
    """The splits of a commit that are what rollouts ask for; a weight that somebody else wrote is not among them.

    Args:
        desired: The commit.
        aborted: Runs that are aborted although it does not say so yet.
    """
    return tuple(dict.fromkeys(_stepping(desired, aborted)))


def _stepping(desired: Desired, aborted: Mapping[Key, str]) -> Iterator[Split]:
    proxies = {proxy.key: proxy for proxy in desired.mesh.proxies}
    for policy in desired.source.rollouts:
        course = course_of(desired.source, policy)
        if aborted.get(course.key) != course.status.run and not _as_asked(desired.source, course):
            continue
        service = service_of(course, desired.source)
        if service is None:
            continue
        rules = _Rules.of(course, service)
        for key, clusters in scope(desired, course).items():
            mapped = proxies[key].spec.push.runtime
            if mapped is not None:
                prefixes = {item.prefix for item in mapped_routes(proxies[key], service, course)}
                found = splits(desired.views[key], prefixes=[item.prefix for item in mapped.routes])
                yield from (split for split in found if split.route in prefixes)
            else:
                ours = clusters.canary | clusters.stable
                for split in splits(desired.views[key]):
                    if rules.moves(split) and any(name in ours for name, _ in split.shares):
                        yield split


def _as_asked(mesh: Mesh, course: Course) -> bool:
    status = course.status
    if status.run != course.spec.run_name or status.phase is Phase.PENDING:
        return False
    has = standing(course, mesh)
    wanted = 0.0 if status.phase is Phase.ABORTED else course.weight_at(status.step)
    return has.even and same_weight(has.percent, wanted)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one VirtualService.

    Attributes:
        service: Its name.
        moved: Names of those that a rollout moves; "" of one without a name, which then is the only one.
        others: Names of the others.
    """

    service: str
    moved: frozenset[str]
    others: frozenset[str]

    @classmethod
    def of(cls, course: Course, service: Policy[VirtualService]) -> _Rules:
        """The rules of a rollout's target."""
        moved = frozenset(service.spec.http[number].name for number in targeted(course.spec, service.spec))
        return cls(service.key.name, moved, frozenset(rule.name for rule in service.spec.http) - moved)

    def moves(self, split: Split) -> bool:
        """Whether an Envoy route is of a rule that is moved: where a rule has several matches, or header routes, their names follow its own."""
        if split.service != self.service:
            return False
        names = [name for name in self.moved | self.others if not name or f"{split.route}.".startswith(f"{name}.")]
        return bool(names) and max(names, key=len) in self.moved
