"""`Mesh.onReject: revert`: after a pass, take back on the policy branch the commits that brought what proxies refuse.

Comes after the receipt, which is the evidence, and changes no proxy: what was live before still is, and the next pass
finds the reverted branch. Only a commit that explains a refusal is undone, whole, one revert for each; whatever is in
doubt is held and said. It ends, whatever proxies refuse: a revert is never reverted, and what has been undone is not undone
again before somebody lands it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reconciler.clock import Clock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.history import require_apart
from reconciler.cycle.offenders import FOLDERS, REVERTS, NotRevertedError, Refusal, Search, Suspects
from reconciler.cycle.report import Report, Stage, Stopwatch
from reconciler.cycle.trust import Trust
from reconciler.errors import Diagnostic, PolicyError, ReconcilerError, Severity
from reconciler.gitrepo import BranchNameError, CommitInfo, RaceLostError, Repository, Reversal
from reconciler.model.proxy import OnReject
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.model.resource import ResourceType
from reconciler.plan import shorten, visible
from reconciler.record import Record

_WORDS = 600
_SUBJECT = 120
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Undone:
    """One revert that was committed."""

    commit: CommitInfo
    new: str
    refusals: tuple[Refusal, ...]


class Reverter:
    """Takes back what proxies refuse.

    Args:
        attempts: How often a lost race is decided again.
        trust: Says which commits count.
    """

    def __init__(
        self,
        repository: Repository,
        compiler: Compiler,
        clock: Clock,
        *,
        attempts: int,
        trust: Trust,
    ) -> None:
        self._trust = trust
        self._repository = repository
        self._compiler = compiler
        self._clock = clock
        self._attempts = max(1, attempts)

    def after(self, ask: Ask, desired: Desired, record: Record, report: Report, watch: Stopwatch) -> Report:
        """The report of a pass for the head of the policy branch, with what was reverted for it, or why nothing was.

        Nothing happens unless the mesh says `revert`, the pass pushed and recorded, and a proxy refused something. Where a
        person has chosen what is carried out, that is all: with a plan's digest nothing is reverted, and `--ref` has to name a
        branch. The outcomes stay what they are; the next pass carries out what is on the branch then.
        """
        if ask.dry_run or report.errors or desired.mesh.settings.on_reject is not OnReject.REVERT:
            return report
        rejected = [item for _, item in sorted(report.outcomes.items()) if item.kind is OutcomeKind.REJECTED]
        if not rejected or report.plan is None:
            return report
        notes: list[Diagnostic] = []
        done: list[_Undone] = []
        try:
            branch = self._branch(ask)
            refusals = [item for outcome in rejected for item in _refusals(outcome, desired, notes)]
            with watch.stage(Stage.RECORD):
                self._revert(branch, report.head, refusals, record, done, notes, watch)
        except ReconcilerError as error:
            notes.append(_held([f"{item.proxy.short()} refused something" for item in rejected], error))
        notes[:0] = [_reverted(item) for item in done]
        plan = replace(report.plan, warnings=(*report.plan.warnings, *notes))
        reverted = tuple(item.new for item in done)
        return replace(report, plan=plan, reverted=reverted, pending=report.pending or bool(reverted))

    def _branch(self, ask: Ask) -> str:
        if (held := self._trust.own_key()) is not None:
            raise NotRevertedError(f"{held.message} [{held.code}]", hint=held.hint)
        if ask.plan_digest:
            raise NotRevertedError(
                "this pass was to carry out a reviewed plan and nothing else", hint="run one without"
            )
        name = ask.ref.removeprefix("refs/heads/")
        try:
            found = self._repository.branch(name)
        except BranchNameError:
            found = None
        if found is None:
            raise NotRevertedError(
                f"{ask.ref} is no branch, so nothing can be committed on it", hint="use --ref BRANCH"
            )
        return name

    def _revert(
        self,
        branch: str,
        head: str,
        refusals: Sequence[Refusal],
        record: Record,
        done: list[_Undone],
        notes: list[Diagnostic],
        watch: Stopwatch,
    ) -> None:
        """One commit after the other, the newest offender first, each decided on top of the one before."""
        search = Search(self._repository, self._compiler, record, [item.subject for item in refusals], watch)
        waiting, races = list(refusals), 0
        while waiting := [item for item in waiting if search.version(head, item.subject) == item.version]:
            suspects = self._suspects(search, waiting, head, notes)
            if not suspects:
                break
            offender = self._newest(head, [found.commits[0] for found in suspects.values()])
            group = {item: found for item, found in suspects.items() if found.commits[0].id == offender.id}
            waiting = [item for item in suspects if item not in group]
            try:
                undone = self._undo(branch, head, group, search, watch)
                done.append(undone)
                head = undone.new
            except RaceLostError as error:
                races += 1
                if races >= self._attempts:
                    notes.append(_held(_what(group), error))
                    break
                self._repository.fetch()
                head = self._repository.resolve(branch)
                self._trust.require(head)  # our signature would vouch for what nobody signed
                waiting += group
            except ReconcilerError as error:
                notes.append(_held(_what(group), error))

    @staticmethod
    def _suspects(
        search: Search, refusals: Iterable[Refusal], head: str, notes: list[Diagnostic]
    ) -> dict[Refusal, Suspects]:
        found: dict[Refusal, Suspects] = {}
        for item in refusals:
            try:
                found[item] = search.suspects(item, head=head)
            except ReconcilerError as error:
                notes.append(_held(_what([item]), error))
        return found

    def _newest(self, head: str, commits: Iterable[CommitInfo]) -> CommitInfo:
        among = {item.id: item for item in commits}
        return next(item for item in self._repository.log(head, first_parent=True) if item.id in among)

    def _undo(
        self, branch: str, head: str, group: dict[Refusal, Suspects], search: Search, watch: Stopwatch
    ) -> _Undone:
        """Undo the first suspect that leads away from what is known to be refused.

        Raises:
            NotRevertedError: None does, or what comes of it can't be used.
            RaceLostError, PushRefusedError, DirtyWorkTreeError, ...: As `Repository.revert`.
        """
        chosen = next(iter(group.values())).commits
        refused = {item: found.refused for item, found in group.items()}
        for commit in chosen:
            reversal = self._reversal(commit, head)
            after = search.versions(self._checked(reversal, branch, commit, watch))
            if any(after[item.subject] in versions for item, versions in refused.items()):
                continue
            watch.progress(Stage.RECORD, "revert")
            words = message(commit, tuple(group))
            new = self._repository.revert(branch, reversal, message=words, at=self._clock.now())
            watch.progress(Stage.RECORD, "reverted")
            return _Undone(commit, new, tuple(group))
        names = ", ".join(item.id[:12] for item in chosen[:_SHOWN])
        raise NotRevertedError(f"without {names} it would be asked for something that it refused before")

    def _reversal(self, commit: CommitInfo, head: str) -> Reversal:
        if self._repository.same(commit.id, commit.parents[0], FOLDERS):
            raise NotRevertedError(f"{commit.id[:12]} touches neither {' nor '.join(FOLDERS)}")
        reversal = self._repository.reversal(commit.id, onto=head)
        if reversal.conflicts:
            paths = ", ".join(map(visible, reversal.conflicts[:_SHOWN]))
            more = f" and {len(reversal.conflicts) - _SHOWN} more" if len(reversal.conflicts) > _SHOWN else ""
            raise NotRevertedError(f"later commits changed what {commit.id[:12]} did in {paths}{more}")
        return reversal

    def _checked(self, reversal: Reversal, branch: str, commit: CommitInfo, watch: Stopwatch) -> Desired:
        """What the branch would ask for then."""
        try:
            desired = self._compiler.desired(reversal.tree, watch)
            require_apart(desired.mesh.settings.record.branch, branch)
        except PolicyError as error:
            worst = next(item for item in error.diagnostics if item.severity is Severity.ERROR)
            where = f"{worst.place}: " if worst.place else ""
            raise NotRevertedError(
                f"without {commit.id[:12]} the policies can't be used: {where}{worst.message} [{worst.code}]"
            ) from error
        return desired


def message(commit: CommitInfo, refusals: Sequence[Refusal]) -> str:
    """The message of a revert: a pure function of what was decided. Others' words are escaped, bounded, and no trailers."""
    lines = [f'Revert "{shorten(visible(commit.subject), _SUBJECT)}"', "", f"This reverts commit {commit.id}."]
    for words in dict.fromkeys(item.words for item in refusals):
        names = _names([item for item in refusals if item.words == words])
        lines += ["", f"{names}:", "", f"    {shorten(visible(words), _WORDS)}"]
    lines += [
        "",
        "Mesh.onReject is revert, so this was committed by the reconciler. What was live before still is.",
        "",
    ]
    return "\n".join([*lines, f"{REVERTS}: {commit.id}", ""])


def _refusals(outcome: Outcome, desired: Desired, notes: list[Diagnostic]) -> list[Refusal]:
    """What a proxy refused, as far as Git may be the cause of it."""
    view = desired.views[outcome.proxy].resources
    known = [id_ for id_ in outcome.rejected if id_ in view and id_.type is not ResourceType.SECRET]
    if not known:
        why = (
            "it refused a secret, whose files are not in Git"
            if outcome.rejected
            else "what it was is not known by name"
        )
        what = [f"{outcome.proxy.short()} refused something"]
        notes.append(_held(what, NotRevertedError(why, hint="mend it by a commit, or on its host")))
    who, words = outcome.proxy, outcome.detail
    return [Refusal(proxy=who, id=id_, version=view[id_].version, words=words) for id_ in known]


def _what(refusals: Iterable[Refusal]) -> list[str]:
    return [f"{item.proxy.short()} refused {item.id}" for item in refusals]


def _names(refusals: Iterable[Refusal]) -> str:
    names = [visible(name) for name in _what(refusals)]
    return "; ".join(names[:_SHOWN]) + (f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _held(what: Sequence[str], error: ReconcilerError) -> Diagnostic:
    shown = "; ".join(what[:_SHOWN]) + (f"; and {len(what) - _SHOWN} more" if len(what) > _SHOWN else "")
    found = error.diagnostics[0]
    reason = found.message if isinstance(error, NotRevertedError) else f"{found.message} [{found.code}]"
    return Diagnostic(
        code=NotRevertedError.default_code,
        message=f"{shown}, and nothing is reverted for it: {reason}",
        severity=Severity.WARNING,
        hint=found.hint or "mend it by a commit",
    )


def _reverted(item: _Undone) -> Diagnostic:
    return Diagnostic(
        code="reverted",
        message=f'{item.commit.id[:12]} "{item.commit.subject}" is reverted by {item.new[:12]}:'
        f" {_names(item.refusals)}",
        severity=Severity.WARNING,
        hint="the next pass applies the revert; land it again with what was refused mended",
    )
