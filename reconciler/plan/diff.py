"""From a view and an observation to what one proxy lacks, and why. The plan stage of a pass.

Versions are compared first; only resources that differ are decoded. Sends nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.errors import Diagnostic, Severity
from reconciler.model.endpoints import alike, bare
from reconciler.model.observation import Observation
from reconciler.model.origin import Finding
from reconciler.model.plan import Action, Cause, Change, FieldChange, ProxyPlan
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.plan.causes import Bases, Causes
from reconciler.plan.fields import Differ, runtime_value

_Resources = Mapping[ResourceId, Resource]


def _identity(item: Resource) -> Resource:
    return item


def plan_proxy(
    view: View,
    observation: Observation,
    *,
    receipt_view: str,
    bases: Callable[[], Sequence[View]],
    notes: tuple[Diagnostic, ...] | None = None,
    differ: Differ | None = None,
    fresh: Callable[[Resource], Resource] = _identity,
    listed: Collection[str] = (),
) -> ProxyPlan:
    """What turns an observation into a view.

    Load assignments that registries have a part in are wanted as they are now, whatever they were when the view was compiled; what
    a proxy can't show of them (`model.endpoints.bare`) is no difference, and one that was not read but remembered, which its
    recipe tells, is believed.

    Causes: everything is `change` if there is no receipt or the proxy still has what the receipt says. Otherwise a
    resource whose live content is what one of `bases` has is `change`, and one that differs from all of them, or that nobody
    can tell because there are none, is `drift`. Runtime overrides on a proxy that is configured fully are always drift.
    `discovery` are load assignments that registries have a part in, but for those that come with a cluster; and, where there
    are registries, what Git asked for before just as it does now, by `bases` that are compiled with what registries say now: on a
    proxy that has what the receipt says everything, on another one clusters and endpoints of `listed` hosts.

    On a proxy that is pushed to by runtime, keys that the view lacks are left as they are: they belong to whoever else
    configures it, or to a mapped route whose weights can't be pushed any more, which is no reason to move its traffic.

    Args:
        view: What should be.
        observation: What is. If it could not be made, the plan has its error and no changes.
        receipt_view: Version of the view in this proxy's last receipt, or "".
        bases: The views that Git has asked for and the proxy may have: of the last receipt's policy commit, and, if that one
            did not arrive, of those before it; none if they can't be had. Called at most once.
        notes: What the policies ask of this proxy in vain; the view's findings, with files but no lines, if None.
        differ: Remembers field changes between calls.
        fresh: A resource with the newest endpoints; itself if it has no recipe.
        listed: Hosts that only registries declare, or did until lately; none where there are no registries.
    """
    notes = _notes(view) if notes is None else notes
    if observation.error is not None:
        return ProxyPlan(proxy=view.proxy, error=observation.error, notes=notes)
    by_runtime = _by_runtime(view, observation)
    live = {id_: item for id_, item in observation.resources.items() if id_ not in observation.foreign}
    if by_runtime:
        live = {id_: item for id_, item in live.items() if id_ in view.resources}
    causes = Causes(view, observation, receipt_view, Bases(bases), not by_runtime, listed)
    wanted = _newest(view.resources, fresh)
    changes = _with_their_clusters(_changes(live, wanted, differ or Differ(), causes.of))
    if not by_runtime:
        notes += tuple(_static(item) for item in sorted(observation.foreign & view.resources.keys()))
        live = {id_: item for id_, item in live.items() if id_.type is not ResourceType.RUNTIME}
    return _plan(view, changes, live, notes)


def compare_views(
    old: View | None, new: View, *, notes: tuple[Diagnostic, ...] | None = None, differ: Differ | None = None
) -> ProxyPlan:
    """What turns one view into another, for previews that can't reach a proxy; every cause is `change`.

    Args:
        old: None for a proxy that the older commit doesn't have.
        new: An empty view for one that the newer commit doesn't have.
        notes: As for `plan_proxy`.
        differ: Remembers field changes between calls.
    """
    before = old.resources if old is not None else {}
    # As on a live proxy, runtime keys that the view lacks are left as they are.
    live = {id_: item for id_, item in before.items() if id_.type is not ResourceType.RUNTIME or id_ in new.resources}
    changes = tuple(_changes(live, new.resources, differ or Differ(), lambda _id, _live: Cause.CHANGE))
    return _plan(new, changes, live, _notes(new) if notes is None else notes)


def _plan(view: View, changes: tuple[Change, ...], live: _Resources, notes: tuple[Diagnostic, ...]) -> ProxyPlan:
    changed = {change.id for change in changes}
    unchanged = sum(1 for id_ in live if id_ not in changed)
    return ProxyPlan(proxy=view.proxy, changes=changes, live=len(live), unchanged=unchanged, notes=notes)


def _newest(resources: _Resources, fresh: Callable[[Resource], Resource]) -> _Resources:
    newest = {id_: fresh(item) for id_, item in resources.items() if item.recipe is not None}
    return {**resources, **newest} if newest else resources


def _equals(live: Resource, wanted: Resource) -> bool:
    """Whether a proxy has what it should have, as far as it can show it."""
    if live.version == wanted.version:
        return True
    return wanted.recipe is not None and (live.recipe is not None or alike(live, wanted))


def _with_their_clusters(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Load assignments that come with a cluster come for its reason."""
    found = tuple(changes)
    made = {change.id.name: change.cause for change in found if _makes(change, ResourceType.CLUSTER)}
    return tuple(
        replace(change, cause=made[change.id.name])
        if change.new is not None and change.new.recipe is not None and change.id.name in made
        else change
        for change in found
    )


def _makes(change: Change, type_: ResourceType) -> bool:
    return change.action is Action.CREATE and change.id.type is type_


def _changes(
    live: _Resources,
    wanted: _Resources,
    differ: Differ,
    cause: Callable[[ResourceId, Resource | None], Cause],
) -> Iterator[Change]:
    # Most passes find thousands of equal resources: those are neither sorted nor looked at twice.
    differing = [id_ for id_, item in wanted.items() if (has := live.get(id_)) is None or not _equals(has, item)]
    gone = [id_ for id_ in live if id_ not in wanted]
    for id_ in sorted(differing + gone):
        old, new = live.get(id_), wanted.get(id_)
        if old is not None and new is not None:
            fields, action = differ.fields(old, new if new.recipe is None else bare(new)), Action.UPDATE
        else:
            fields, action = _value(old, new), Action.CREATE if old is None else Action.DELETE
        yield Change(id=id_, action=action, cause=cause(id_, old), fields=fields, old=old, new=new)


def _value(old: Resource | None, new: Resource | None) -> tuple[FieldChange, ...]:
    """A runtime key is only its value, so that is shown when it comes or goes; other resources need no field list."""
    item = new or old
    if item is None or item.id.type is not ResourceType.RUNTIME:
        return ()
    return (FieldChange("value", runtime_value(old) if old else None, runtime_value(new) if new else None),)


def _by_runtime(view: View, observation: Observation) -> bool:
    """Whether somebody else configures this proxy: it has, or should have, runtime keys of ours and nothing else."""
    ids = view.resources.keys() or observation.resources.keys() - observation.foreign
    return bool(ids) and all(id_.type is ResourceType.RUNTIME for id_ in ids)


def _notes(view: View) -> tuple[Diagnostic, ...]:
    return tuple(_note(finding) for finding in view.unsupported)


def _note(finding: Finding) -> Diagnostic:
    """A finding without its line, which only the loader of the file can look up."""
    return Diagnostic(
        code=finding.code,
        message=finding.message,
        severity=finding.severity,
        hint=finding.hint,
        file=(finding.origin.file or None) if finding.origin else None,  # what a registry lists stands in no file
    )


def _static(id_: ResourceId) -> Diagnostic:
    return Diagnostic(
        code="static-resource",
        message=f"{id_} is in this proxy's bootstrap, which no push can change",
        severity=Severity.WARNING,
        hint="rename it in the bootstrap, or take it out and restart the proxy",
    )
