"""`--against REF`: what two commits compile to, compared offline. Asks no proxy and needs no right but to read Git."""

from __future__ import annotations

from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler
from reconciler.cycle.guarding import guarded
from reconciler.cycle.history import allowed_since
from reconciler.cycle.report import Progress, Report, Stage, Stopwatch, silent
from reconciler.cycle.targets import left_behind, members
from reconciler.errors import Diagnostic, PolicyError, ReconcilerError
from reconciler.gitrepo import Repository
from reconciler.model.plan import Plan
from reconciler.model.resource import Resource
from reconciler.plan import Differ, compare_views


def preview(
    ask: Ask, against: str, *, repository: Repository, compiler: Compiler, progress: Progress = silent
) -> Report:  # fmt: skip
    """The plan that would take every proxy from what `against` asks for to what `ask` names."""
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
        with watch.stage(Stage.PLAN):
            differ = Differ()
            plans = tuple(
                compare_views(
                    before.views.get(proxy.key),
                    desired.views[proxy.key],
                    notes=desired.notes.get(proxy.key, ()),
                    differ=differ,
                )
                for proxy in members(desired.mesh, ask.select)
            )
            gone = left_behind(before.declared, desired.mesh)
            plan = Plan(commit=desired.commit, proxies=plans, warnings=(*desired.warnings, *gone))
        with watch.stage(Stage.GUARD):
            plan = guarded(
                plan,
                desired,
                allow=ask.allow,
                acknowledged=lambda: allowed_since(repository, base, desired.commit),
                verified=tuple,
                fresh=_unasked if desired.mesh.settings.discovery else _declared,
            )
        return Report(
            head=desired.commit, applied=desired.commit, plan=plan, pending=not plan.empty, seconds=watch.seconds
        )  # fmt: skip
    except ReconcilerError as error:
        return Report(errors=error.diagnostics, seconds=watch.seconds)


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
