"""The pass itself, stage by stage. It decides the order and nothing else; each stage's room knows how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from reconciler.clock import Clock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.discovering import Discovery
from reconciler.cycle.fleet import Fleet
from reconciler.cycle.history import last_good_branch, newest_receipt, require_apart
from reconciler.cycle.notifier import Notifier
from reconciler.cycle.planning import Planner
from reconciler.cycle.receipts import draft
from reconciler.cycle.report import Progress, Report, Stage, Stopwatch, silent
from reconciler.cycle.reverting import Reverter
from reconciler.cycle.standstill import thaws_in
from reconciler.cycle.targets import (
    Work,
    members,
    on_ads,
    pushed_part,
    require_ours,
    require_streams,
    targets,
    unseen,
    with_drift_left,
)
from reconciler.cycle.trust import Trust, UntrustedError
from reconciler.cycle.walking import Decided, Walker, stepping
from reconciler.errors import Diagnostic, PolicyError, ReconcilerError, TransientError, UsageError
from reconciler.gitrepo import CorruptRepositoryError, RefNotFoundError, Repository
from reconciler.model.plan import Plan
from reconciler.model.receipt import OutcomeKind, Receipt
from reconciler.push import Pushed, push
from reconciler.record import Draft, Record
from reconciler.settings import Settings
from reconciler.xds import Plane

_LOCK = "pass"
_LOCK_WAIT = 30.0


class Reconciler:
    """Makes live Envoys be what Git says, one pass at a time.

    Attributes:
        trust: Says which commits count.

    Args:
        plane: Where proxies on ADS are published to. Without one they can be observed and not pushed to.
        notifier: Tells people of rollouts.
        settle: Seconds to wait for what they are told: for a process that ends after its pass.
        discovery: What registries list; without it, as if there were none.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        compiler: Compiler,
        fleet: Fleet,
        clock: Clock,
        settings: Settings,
        progress: Progress = silent,
        plane: Plane | None = None,
        notifier: Notifier | None = None,
        settle: float = 0.0,
        discovery: Discovery | None = None,
    ) -> None:
        self._repository = repository
        self._compiler = compiler
        self._fleet = fleet
        self._clock = clock
        self._settings = settings
        self._progress = progress
        self._plane = plane
        self._discovery = discovery or Discovery()
        self.trust = Trust(repository, settings.trust, clock)
        self._walker = Walker(
            repository=repository,
            compiler=compiler,
            fleet=fleet,
            clock=clock,
            attempts=settings.git.push_attempts,
            notifier=notifier or Notifier(lambda _: None),
            settle=settle,
            trust=self.trust,
        )
        self._planner = Planner(
            repository,
            compiler,
            clock,
            stepping=lambda desired: stepping(desired, self._walker.aborted),
            discovery=self._discovery,
            trusted=self.trust.trusted,
        )
        self._reverter = Reverter(repository, compiler, clock, attempts=settings.git.push_attempts, trust=self.trust)
        self._records: dict[str, Record] = {}
        self._refused: frozenset[str] = frozenset()  # the head, if the last pass found it refused by a guard
        self._branches: dict[str, str] = {}  # where the receipts were, by the policy branch

    def run(self, ask: Ask) -> Report:
        """One pass. Failures that have a name end up in the report, never as an exception."""
        watch = Stopwatch(self._progress)
        try:
            with self._alone(ask):
                return self._run(ask, watch)
        except ReconcilerError as error:
            return _failed(error, watch)

    @contextmanager
    def _alone(self, ask: Ask) -> Iterator[None]:
        with nullcontext() if ask.dry_run else self._repository.lock(_LOCK, wait=_LOCK_WAIT):
            yield

    def _run(self, ask: Ask, watch: Stopwatch) -> Report:
        began = self._clock.now()
        with watch.stage(Stage.CHECKOUT):
            if not ask.fetched:
                self._repository.fetch()
            try:
                tree = ask.tree or self._repository.tree(self._repository.resolve(ask.ref))
            except RefNotFoundError as error:
                return self._without_head(ask, "", error, watch)
        if self._plane is not None:
            self._compiler.join(self._plane.joined())
        try:
            if tree.commit:  # uncommitted files are previewed by who has them
                self.trust.require(tree.commit)
            if ask.unmerged:
                self._discovery.recall(self._compiler)
            else:
                self._discovery.begin(self._compiler, tree, watch)
            desired = self._compiler.desired(tree, watch)
            branch = desired.mesh.settings.record.branch
            require_apart(branch, ask.ref)
        except (PolicyError, CorruptRepositoryError) as error:
            return self._without_head(ask, tree.commit, error, watch)
        self._branches[ask.ref] = branch
        record = self._record(branch)
        last, broken = newest_receipt(record)
        decided = self._walker.decide(
            ask, desired, record, last, watch, applied=desired.commit not in self._refused, able=self._able(desired)
        )
        desired = decided.desired
        report = self._attempt(ask, desired, record, last, watch)
        report = self._reverter.after(ask, desired, record, report, watch)
        if not ask.dry_run and report.plan is not None:
            self._refused = frozenset({desired.commit}) if report.plan.refused else frozenset()
            (self._discovery.refused if report.plan.refused else self._discovery.in_force)()
        if not ask.dry_run and report.plan is not None and report.plan.refused:
            repaired = self._repair(ask, record, last, watch)
            if repaired is not None:
                report = replace(repaired, head=desired.commit, plan=report.plan, pending=True)
        notes = (*decided.notes, *self._walker.finish(ask, desired, record))
        decided = replace(decided, notes=notes)
        thaw = thaws_in(desired.mesh.settings, began, self._clock.now())
        return _with(report, decided, broken, again=_sooner(self._walker.again(moved=report.receipt is not None), thaw))

    def _without_head(self, ask: Ask, head: str, error: ReconcilerError, watch: Stopwatch) -> Report:
        """The head is unusable, or there is none: say why, and keep the fleet at the last good commit.

        A branch that this process has never seen usable may be a slip of the pen, and moves nothing if it is not there.
        """
        report = Report(head=head, errors=error.diagnostics, seconds=watch.seconds)
        if ask.dry_run and not ask.last_good:
            return report
        branch = self._branches.get(ask.ref, "")
        if isinstance(error, PolicyError) and head:
            branch = last_good_branch(
                self._repository, self._compiler, head, ref=ask.ref, watch=watch, trusted=self.trust.trusted
            )
        if not branch:
            return report
        record = self._record(branch)
        last, broken = newest_receipt(record)
        repaired = self._repair(ask, record, last, watch) or replace(report, errors=(), last=last)
        return replace(
            repaired, head=head, errors=(*error.diagnostics, *broken, *repaired.errors), pending=True
        )  # fmt: skip

    def _repair(self, ask: Ask, record: Record, last: Receipt | None, watch: Stopwatch) -> Report | None:
        """Correct drift towards what the newest receipt says; None if there is none, or its commit can't be used.

        Others may write to the record branch too, so the commit that it names has to be signed as well as any head.
        """
        if last is None:
            return None
        try:
            self.trust.require(last.policy_commit, so="drift is not corrected towards it, the last good commit, either")
            tree = self._repository.tree(last.policy_commit)
            self._discovery.begin(self._compiler, tree, watch, head=False)
            good = self._compiler.desired(tree, watch)
            decided = self._walker.decide(ask, good, record, last, watch, applied=False, able=self._able(good))
        except UntrustedError as error:
            return Report(errors=error.diagnostics, last=last, seconds=watch.seconds)
        except ReconcilerError:
            return None
        report = self._attempt(replace(ask, plan_digest=""), decided.desired, record, last, watch)
        return _with(report, decided, (), again=self._walker.again(moved=report.receipt is not None))

    def _attempt(
        self, ask: Ask, desired: Desired, record: Record, last: Receipt | None, watch: Stopwatch
    ) -> Report:  # fmt: skip
        if ask.defers:
            require_ours(desired.mesh, ask.select, self._plane)
        proxies = members(desired.mesh, ask.select)
        if not ask.dry_run and self._discovery.follows(desired):
            self._discovery.adopt(desired)
        self._discovery.asks()
        with watch.stage(Stage.OBSERVE, f"{len(proxies)} proxies"):
            observations = self._fleet.observe(proxies, exact=ask.exact, known=ask.unmerged)
        plan = self._planner.plan(ask, desired, proxies, observations, record=record, last=last, watch=watch)
        report = Report(
            head=desired.commit,
            applied=desired.commit,
            plan=plan,
            last=last,
            pending=not plan.empty,
            seconds=watch.seconds,
        )
        if ask.dry_run:
            seen = (*plan.warnings, *unseen(proxies, self._plane))
            return replace(report, plan=replace(plan, warnings=seen))
        try:
            require_streams(proxies, self._plane)
        except UsageError as error:
            return replace(report, errors=error.diagnostics)
        if plan.refused:
            return report
        if not self._discovery.follows(desired):
            self._discovery.adopt(desired)  # only now: a commit that is refused must not say what instances are in use
        work = targets(desired, plan, observations)
        if any(item.target.changes for item in work):
            # Traffic must not move if it is known already that the receipt can't be written.
            try:
                self._repository.require_movable(desired.mesh.settings.record.branch)
            except ReconcilerError as error:
                return replace(report, errors=error.diagnostics, transient=isinstance(error, TransientError))
        pushed = self._push(desired, work, watch)
        outcomes = with_drift_left(work, pushed.outcomes)
        self._fleet.remember(desired.views, outcomes, pushed.observations)
        report = replace(report, outcomes=outcomes, pending=any(item.left for item in work))
        with watch.stage(Stage.RECORD):
            try:
                note = draft(
                    pushed_part(plan, work),
                    outcomes,
                    last,
                    commit=desired.commit,
                    views=desired.views,
                    base=lambda key: self._planner.base(last, key, watch),
                    seconds=pushed,
                )
                return replace(report, receipt=self._receipt(record, note, plan))
            except ReconcilerError as error:
                return replace(report, errors=error.diagnostics, transient=isinstance(error, TransientError))

    def _receipt(self, record: Record, note: Draft, plan: Plan) -> Receipt | None:
        """Write what there is to say of proxies, and the evidence of rollouts that is owed."""
        evidence, owed = self._walker.plain(), self._walker.owed
        subject = owed if owed and plan.empty else note.subject
        receipt = record.write(replace(note, rollouts=evidence, subject=subject), at=self._clock.now())
        self._walker.recorded(evidence)
        return receipt

    def _push(self, desired: Desired, work: Sequence[Work], watch: Stopwatch) -> Pushed:
        """Push and verify; from then on nobody is served who is not, or not any more, on ADS."""
        self._discovery.serves(desired, [item.target.proxy.key for item in work if not item.target.changes])
        with watch.stage(Stage.PUSH):
            pushed = push(
                [item.target for item in work],
                admins=self._fleet.admins(),
                clock=self._clock,
                deadline=desired.mesh.settings.verify_deadline,
                workers=self._settings.admin.workers,
                progress=lambda detail: self._progress(Stage.PUSH, detail),
                plane=self._plane,
                commit=desired.commit,
                fresh=self._discovery.fresh,
                follow=self._discovery.follow,
            )
        there = [key for key, outcome in pushed.outcomes.items() if outcome.kind is OutcomeKind.APPLIED]
        self._discovery.serves(desired, there)
        watch.add(Stage.PUSH, -pushed.verify_seconds)
        watch.add(Stage.VERIFY, pushed.verify_seconds)
        if self._plane is not None:
            self._plane.retain(on_ads(desired.mesh))
        return pushed

    def _able(self, desired: Desired) -> bool:
        """Whether this process can push to every proxy: those on ADS only where their streams end."""
        return self._plane is not None or not on_ads(desired.mesh)

    def _record(self, branch: str) -> Record:
        """One for each branch for as long as we live: it remembers what it has seen there."""
        if branch not in self._records:
            self._records[branch] = Record(self._repository, branch, attempts=self._settings.git.push_attempts)
        return self._records[branch]


def _with(report: Report, decided: Decided, broken: Sequence[Diagnostic], *, again: float | None) -> Report:
    """A report with what rollouts did, and what is wrong with the record."""
    plan = report.plan
    if plan is not None and decided.notes:
        plan = replace(plan, warnings=(*plan.warnings, *decided.notes))
    return replace(
        report,
        plan=plan,
        errors=(*broken, *report.errors),
        taken=(*decided.taken, *report.taken),
        again=again,
        pending=report.pending or decided.pending,
    )


def _sooner(*seconds: float | None) -> float | None:
    return min((item for item in seconds if item is not None), default=None)


def _failed(error: ReconcilerError, watch: Stopwatch) -> Report:
    return Report(
        errors=error.diagnostics, transient=isinstance(error, TransientError), seconds=watch.seconds
    )  # fmt: skip
