"""Splits that the guard against large increases lets pass: a rollout's own steps, which were reviewed with the rollout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.cycle.desired import Desired
from reconciler.cycle.walking.scope import scope
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.rollout import Phase
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
    for policy in desired.source.rollouts:
        course = course_of(desired.source, policy)
        if aborted.get(course.key) != course.status.run and not _as_asked(desired.source, course):
            continue
        service = service_of(course, desired.source)
        names = {rule.name for rule in service.spec.http} if service is not None else set()
        for key, clusters in scope(desired, course).items():
            ours = clusters.canary | clusters.stable
            for split in splits(desired.views[key]):
                if _of_rule(split.route, names) and any(name in ours for name, _ in split.shares):
                    yield split


def _as_asked(mesh: Mesh, course: Course) -> bool:
    status = course.status
    if status.run != course.spec.run_name or status.phase is Phase.PENDING:
        return False
    has = standing(course, mesh)
    wanted = 0.0 if status.phase is Phase.ABORTED else course.weight_at(status.step)
    return has.even and same_weight(has.percent, wanted)


def _of_rule(route: str, names: set[str]) -> bool:
    """Whether an Envoy route is a rule's: rules with several matches, and header routes, add a name of their own."""
    return any(route == name or route.startswith(f"{name}.") for name in names)
