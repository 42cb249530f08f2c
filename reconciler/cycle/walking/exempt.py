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
from reconciler.model.virtualservice import Delegate, VirtualService
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
        places = tuple(_places(course, service, desired.source))
        for key, clusters in scope(desired, course).items():
            mapped = proxies[key].spec.push.runtime
            if mapped is not None:
                prefixes = {item.prefix for item in mapped_routes(proxies[key], service, course)}
                found = splits(desired.views[key], prefixes=[item.prefix for item in mapped.routes])
                yield from (split for split in found if split.route in prefixes)
            else:
                ours = clusters.canary | clusters.stable
                for split in splits(desired.views[key]):
                    if any(rules.moves(split) for rules in places) and any(name in ours for name, _ in split.shares):
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
    """The rules of one VirtualService that has hosts.

    Attributes:
        service: Its name.
        moved: Names of those that a rollout moves, a delegate's with the name of the rule that delegates before its own; "" of one
            without a name, which then is the only one.
        others: Names of the others.
    """

    service: str
    moved: frozenset[str]
    others: frozenset[str]

    def moves(self, split: Split) -> bool:
        """Whether an Envoy route is of a rule that is moved: where a rule has several matches, or header routes, their names follow its own."""
        if split.service != self.service:
            return False
        names = [name for name in self.moved | self.others if not name or f"{split.route}.".startswith(f"{name}.")]
        return bool(names) and max(names, key=len) in self.moved


def _places(course: Course, service: Policy[VirtualService], mesh: Mesh) -> Iterator[_Rules]:
    """Where the rules that a rollout moves are carried out: in its target, and in those that delegate to it."""
    numbers = targeted(course.spec, service.spec)
    moved = {rule.name: number in numbers for number, rule in enumerate(service.spec.http)}
    yield _sorted(service, moved)
    for root in mesh.virtual_services:
        names: dict[str, bool] = {}
        for rule in root.spec.http:
            if rule.delegate is None or _delegate(root, rule.delegate) != service.key:
                names.setdefault(rule.name, False)
                continue
            for name, moves in moved.items():
                names["-".join(part for part in (rule.name, name) if part)] = moves
        if any(names.values()):
            yield _sorted(root, names)


def _sorted(service: Policy[VirtualService], names: Mapping[str, bool]) -> _Rules:
    moved = frozenset(name for name, moves in names.items() if moves)
    return _Rules(service.key.name, moved, frozenset(names) - moved)


def _delegate(root: Policy[VirtualService], delegate: Delegate) -> Key:
    return Key(delegate.namespace or root.key.namespace, delegate.name)
