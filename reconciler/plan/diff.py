"""From a view and an observation to what one proxy lacks, and why. The plan stage of a pass.

Versions are compared first; only resources that differ are decoded. Sends nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.errors import Diagnostic, Severity
from reconciler.model.observation import Observation
from reconciler.model.origin import Finding
from reconciler.model.plan import Action, Cause, Change, FieldChange, ProxyPlan
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.plan.fields import Differ, runtime_value
from reconciler.plan.splits import runtime_prefix

_Resources = Mapping[ResourceId, Resource]


class _Base:
    """The view that the last receipt's policy commit compiles to: made at most once, and only if somebody asks."""

    def __init__(self, make: Callable[[], View | None]) -> None:
        self._make = make
        self._made: list[View | None] = []

    def __call__(self) -> View | None:
        if not self._made:
            self._made.append(self._make())
        return self._made[0]


@dataclass(frozen=True, slots=True)
class _Causes:
    """Why one proxy's resources differ; `plan_proxy` has the rules."""

    observation: Observation
    receipt_view: str
    base: _Base
    overrides_are_drift: bool
    live_version: list[str] = field(default_factory=list)

    def of(self, id_: ResourceId, live: Resource | None) -> Cause:
        if self.overrides_are_drift and id_.type is ResourceType.RUNTIME:
            return Cause.DRIFT
        if not self.receipt_view or self._version() == self.receipt_view:
            return Cause.CHANGE
        base = self.base()
        if base is None:
            return Cause.DRIFT
        then = base.resources.get(id_)
        same = (then.version if then else None) == (live.version if live else None)
        return Cause.CHANGE if same else Cause.DRIFT

    def _version(self) -> str:
        # Hashing a set of thousands costs milliseconds, and most passes find nothing to explain.
        if not self.live_version:
            self.live_version.append(self.observation.version)
        return self.live_version[0]


def plan_proxy(
    view: View,
    observation: Observation,
    *,
    receipt_view: str,
    base: Callable[[], View | None],
    differ: Differ | None = None,
) -> ProxyPlan:
    """What turns an observation into a view.

    Causes: everything is `change` if there is no receipt or the proxy still has what the receipt says. Otherwise a
    resource whose live content is what `base` has is `change`, and one that differs from it, or that nobody can tell
    because there is no base, is `drift`. Runtime overrides on a proxy that is configured fully are always drift.

    Overrides on a proxy that is pushed to by runtime belong to whoever else configures it, unless their prefix is one of
    the view's or the base had them.

    Args:
        view: What should be.
        observation: What is. If it could not be made, the plan has its error and no changes.
        receipt_view: Version of the view in this proxy's last receipt, or "".
        base: The view of the last receipt's policy commit, or None if it can't be had; called at most once.
        differ: Remembers field changes between calls.
    """
    notes = tuple(_note(finding) for finding in view.unsupported)
    if observation.error is not None:
        return ProxyPlan(proxy=view.proxy, error=observation.error, notes=notes)
    known = _Base(base)
    by_runtime = _by_runtime(view, observation)
    live = _ours(view, observation, known) if by_runtime else _pushable(observation)
    causes = _Causes(observation, receipt_view, known, overrides_are_drift=not by_runtime)
    changes = tuple(_changes(live, view.resources, differ or Differ(), causes.of))
    if not by_runtime:
        notes += tuple(_static(item) for item in sorted(observation.foreign & view.resources.keys()))
        live = {id_: item for id_, item in live.items() if id_.type is not ResourceType.RUNTIME}
    return _plan(view, changes, live, notes)


def compare_views(old: View | None, new: View, *, differ: Differ | None = None) -> ProxyPlan:
    """What turns one view into another, for previews that can't reach a proxy; every cause is `change`.

    Args:
        old: None for a proxy that the older commit doesn't have.
        new: An empty view for one that the newer commit doesn't have.
        differ: Remembers field changes between calls.
    """
    live: _Resources = old.resources if old is not None else {}
    changes = tuple(_changes(live, new.resources, differ or Differ(), lambda _id, _live: Cause.CHANGE))
    return _plan(new, changes, live, tuple(_note(finding) for finding in new.unsupported))


def _plan(view: View, changes: tuple[Change, ...], live: _Resources, notes: tuple[Diagnostic, ...]) -> ProxyPlan:
    unchanged = sum(1 for id_, item in live.items() if _has(view, id_, item))
    return ProxyPlan(proxy=view.proxy, changes=changes, live=len(live), unchanged=unchanged, notes=notes)


def _has(view: View, id_: ResourceId, item: Resource) -> bool:
    wanted = view.resources.get(id_)
    return wanted is not None and wanted.version == item.version


def _changes(
    live: _Resources,
    wanted: _Resources,
    differ: Differ,
    cause: Callable[[ResourceId, Resource | None], Cause],
) -> Iterator[Change]:
    for id_ in sorted(live.keys() | wanted.keys()):
        old, new = live.get(id_), wanted.get(id_)
        if old is not None and new is not None:
            if old.version != new.version:
                fields = differ.fields(old, new)
                yield Change(id=id_, action=Action.UPDATE, cause=cause(id_, old), fields=fields, old=old, new=new)
            continue
        action = Action.CREATE if old is None else Action.DELETE
        yield Change(id=id_, action=action, cause=cause(id_, old), fields=_value(old, new), old=old, new=new)


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


def _pushable(observation: Observation) -> _Resources:
    return {id_: item for id_, item in observation.resources.items() if id_ not in observation.foreign}


def _ours(view: View, observation: Observation, base: _Base) -> _Resources:
    """The runtime keys that are ours to change on a proxy that somebody else configures."""
    live = _pushable(observation)
    prefixes = {runtime_prefix(id_.name) for id_ in view.resources}
    others = {id_ for id_ in live if id_ not in view.resources and runtime_prefix(id_.name) not in prefixes}
    if others:
        before = base()
        others -= before.resources.keys() if before is not None else set()
    return {id_: item for id_, item in live.items() if id_ not in others}


def _note(finding: Finding) -> Diagnostic:
    """A finding without its line, which only the loader of the file can look up."""
    return Diagnostic(
        code=finding.code,
        message=finding.message,
        severity=finding.severity,
        hint=finding.hint,
        file=finding.origin.file if finding.origin else None,
    )


def _static(id_: ResourceId) -> Diagnostic:
    return Diagnostic(
        code="static-resource",
        message=f"{id_} is in this proxy's bootstrap, which no push can change",
        severity=Severity.WARNING,
        hint="rename it in the bootstrap, or take it out and restart the proxy",
    )
