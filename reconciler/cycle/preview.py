"""`--against REF`: what two commits compile to, compared offline. Asks no proxy and needs no right but to read Git."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.guarding import guarded
from reconciler.cycle.history import allowed_since, everybody
from reconciler.cycle.report import Progress, Report, Stage, Stopwatch, silent
from reconciler.cycle.standstill import notes
from reconciler.cycle.targets import left_behind, members
from reconciler.cycle.walking.exempt import stepping
from reconciler.errors import Diagnostic, PolicyError, ReconcilerError
from reconciler.gitrepo import Repository
from reconciler.model.key import Key
from reconciler.model.plan import Plan
from reconciler.model.resource import Resource
from reconciler.plan import Differ, Split, compare_views


def preview(
    ask: Ask,
    against: str,
    *,
    repository: Repository,
    compiler: Compiler,
    progress: Progress = silent,
    now: datetime | None = None,
) -> Report:
    """The plan that would take every proxy from what `against` asks for to what `ask` names.

    Nothing is refused for a freeze or a suspension: a commit may well be merged in one. With `now`, it is said.
    """
    watch = Stopwatch(progress)
    try:
        with watch.stage(Stage.CHECKOUT):
            repository.fetch()
            base = repository.resolve(against)
            tree = ask.tree or repository.tree(repository.resolve(ask.ref))
        try:
            desired = compiler.desired(tree, watch)
        except PolicyError as error:
            return Report(head=tree.commit, errors=error.diagnostics, seconds=watch.seconds)
        try:
            before = compiler.desired(repository.tree(base), watch)
        except PolicyError as error:
            return Report(
                head=tree.commit, errors=(_unusable_base(against, base), *error.diagnostics), seconds=watch.seconds
            )  # fmt: skip
        plan = difference(before, desired, select=ask.select, watch=watch)
        ahead = notes(desired.mesh.settings, now, opened=True) if now is not None else ()
        plan = judged(
            plan, desired, allow=ask.allow, repository=repository, base=base, head=desired.commit, watch=watch
        )
        plan = replace(plan, warnings=(*ahead, *plan.warnings))
        return Report(
            head=desired.commit, applied=desired.commit, plan=plan, pending=not plan.empty, seconds=watch.seconds
        )  # fmt: skip
    except ReconcilerError as error:
        return Report(errors=error.diagnostics, seconds=watch.seconds)


def difference(before: Desired, desired: Desired, *, select: Sequence[Key] = (), watch: Stopwatch) -> Plan:
    """What would take every proxy that has all of one commit to another; not judged.

    Args:
        before: What they have.
        desired: What they are to have.
        select: Only these proxies; all of them if empty.
        watch: For the time it takes.

    Raises:
        UsageError: A selected proxy is not in the mesh.
    """
    with watch.stage(Stage.PLAN):
        differ = Differ()
        plans = tuple(
            compare_views(
                before.views.get(proxy.key),
                desired.views[proxy.key],
                notes=desired.notes.get(proxy.key, ()),
                differ=differ,
            )
            for proxy in members(desired.mesh, select)
        )
        gone = left_behind(before.declared, desired.mesh)
        return Plan(commit=desired.commit, proxies=plans, warnings=(*desired.warnings, *gone))


def judged(
    plan: Plan,
    desired: Desired,
    *,
    allow: Collection[str],
    repository: Repository,
    base: str,
    head: str,
    watch: Stopwatch,
    verified: Callable[[], Sequence[Split]] = tuple,
    trusted: Callable[[str], bool] = everybody,
) -> Plan:
    """The plan with what the guards say that can speak without proxies and registries.

    Args:
        plan: From `difference`.
        desired: What it leads to.
        allow: Guard codes that are overridden.
        repository: Whose commits may acknowledge what guards object to.
        base: Commits that this one has don't count.
        head: Those below this one do.
        watch: For the time it takes.
        verified: Splits that receipts show, if any can be read; asked for only if a guard would object without.
        trusted: Whether a commit's acknowledgements count.
    """
    with watch.stage(Stage.GUARD):
        return guarded(
            plan,
            desired,
            allow=allow,
            acknowledged=lambda: allowed_since(repository, base, head, trusted=trusted),
            verified=lambda: (*stepping(desired, {}), *verified()),
            fresh=_unasked if desired.mesh.settings.discovery else _declared,
        )


def _unasked(_: Resource) -> None:
    """Nobody has asked the registries, which may list instances of any service."""


def _declared(resource: Resource) -> Resource:
    """Without registries, all instances are in Git."""
    return resource


def _unusable_base(against: str, commit: str) -> Diagnostic:
    return Diagnostic(
        code="base-unusable",
        message=f"{against} ({commit[:10]}) can't be compared with: it has errors of its own",
        hint="mend that branch first; what is wrong with it follows",
    )
