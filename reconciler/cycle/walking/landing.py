"""From a decision to the policy branch: a commit, or a proposal where the branch is protected. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconciler.clock import Clock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Desired
from reconciler.cycle.proposal import Proposal, ProposalOutcome
from reconciler.cycle.proposing import Proposer
from reconciler.errors import Diagnostic, ReconcilerError, Severity
from reconciler.forge import Beside, Forge, GitHub, GitLab
from reconciler.gitrepo import PushRefusedError, RaceLostError, Repository
from reconciler.model.key import Key
from reconciler.model.proxy import Forge as ForgeSettings
from reconciler.model.proxy import RecordMode
from reconciler.model.rollout import RolloutStatus
from reconciler.rollouts.course import Course
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.engine import Turn
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.messages import message
from reconciler.rollouts.writing import files

_LONGEST = 60.0
_WITHDRAWING = "what was proposed can't be taken back"
_PROTECTED = "let it be pushed to, or set record.mode of the Mesh to pull-request, so that steps are proposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """A commit that the branch did not take.

    Attributes:
        base: What it was to be on top of.
        decision: What it was to say.
        notes: What people were told.
        pause: Seconds until it is tried again.
        until: When that is, by the clock that only grows.
    """

    base: str
    decision: tuple[Move, RolloutStatus]
    notes: tuple[Diagnostic, ...]
    pause: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a decision.

    Attributes:
        landed: Whether it is a commit on the policy branch now.
        commit: Where that branch is now; "" if nobody looked.
        subject: The commit's first line.
        again: Somebody else was faster: decide again from what is there now.
        notes: What people should know.
        evidence: The evidence with what has to be remembered of a proposal; None if nothing has.
    """

    landed: bool = False
    commit: str = ""
    subject: str = ""
    again: bool = False
    notes: tuple[Diagnostic, ...] = ()
    evidence: Evidence | None = None


class Landing:
    """Writes decisions.

    Args:
        attempts: How often in a row others may be faster.
        patience: Seconds that a pass waits for one answer of a forge; what comes later is there for the next pass.
        own_key: Why a commit of ours would not count, if it would not: then none is made.
    """

    def __init__(
        self,
        repository: Repository,
        clock: Clock,
        *,
        attempts: int,
        patience: float = 2.0,
        own_key: Callable[[], Diagnostic | None] = lambda: None,
    ) -> None:
        self._own_key = own_key
        self._repository = repository
        self._clock = clock
        self._attempts = max(1, attempts)
        self._lost = 0
        self._patience = patience
        self._forges: dict[ForgeSettings, Beside] = {}
        self._refused: dict[Key, _Refused] = {}

    def close(self) -> None:
        """Close the connections to forges."""
        for forge in self._forges.values():
            forge.close()

    def land(self, ask: Ask, course: Course, turned: Turn, desired: Desired, *, applied: bool) -> Outcome:
        """Write what was decided, if it can be written now; what can't be is decided again by the next pass."""
        decision = turned.decision
        if not applied:
            waits = _waiting(decision, "the head of the branch can't be used") if decision.commits else ()
            return Outcome(notes=waits)
        if not decision.commits or desired.mesh.settings.record.mode is RecordMode.PULL_REQUEST:
            return Outcome()  # proposed once proxies have what they are to have
        if (held := self._own_key()) is not None:
            return Outcome(notes=_waiting(decision, f"{held.message} [{held.code}]", hint=held.hint))
        return self._tried(ask.ref.removeprefix("refs/heads/"), course, decision, desired)

    def _tried(self, branch: str, course: Course, decision: Decision, desired: Desired) -> Outcome:
        refused = self._refused.get(course.key)
        if refused is not None and _same(refused, decision, desired) and self._clock.monotonic() < refused.until:
            return Outcome(notes=refused.notes)
        try:
            return self._commit(branch, course, decision, desired)
        except PushRefusedError as error:
            return Outcome(notes=self._put_off(decision, desired, error))
        except RaceLostError as error:
            self._lost += 1
            if self._lost >= self._attempts:
                self._lost = 0
                return Outcome(notes=_waiting(decision, error.message))
            self._repository.fetch()
            return Outcome(commit=self._repository.resolve(branch), again=True)
        except ReconcilerError as error:
            hint = error.diagnostics[0].hint
            return Outcome(notes=_waiting(decision, f"{error.message} [{error.code}]", hint=hint))

    def _commit(self, branch: str, course: Course, decision: Decision, desired: Desired) -> Outcome:
        words = message(decision, course)
        commit = self._repository.commit(
            branch,
            expect=desired.commit,
            files=self._files(decision, course, desired),
            message=words,
            at=self._clock.now(),
        )
        self._lost = 0
        self._refused.pop(course.key, None)
        return Outcome(landed=True, commit=commit, subject=words.partition("\n")[0])

    def _put_off(self, decision: Decision, desired: Desired, error: PushRefusedError) -> tuple[Diagnostic, ...]:
        """Protections are seldom lifted: it is tried less and less often, and at once for another commit or decision."""
        before = self._refused.get(decision.rollout)
        again = before is not None and _same(before, decision, desired)
        pause = min(2 * before.pause, _LONGEST) if before is not None and again else 1.0
        refused = _Refused(
            base=desired.commit,
            decision=(decision.move, decision.status),
            notes=_waiting(decision, f"{error.message} [{error.code}]", hint=_PROTECTED),
            pause=pause,
            until=self._clock.monotonic() + pause,
        )
        self._refused[decision.rollout] = refused
        return refused.notes

    def propose(self, ask: Ask, course: Course, turned: Turn, desired: Desired) -> Outcome:
        """Propose what was decided, where steps are proposed; comes after the push, since forges may be slow.

        One step per proposal; it is withdrawn when there is nothing to propose any more, or steps are commits from now on.
        """
        decision, evidence = turned.decision, turned.evidence
        proposes = desired.mesh.settings.record.mode is RecordMode.PULL_REQUEST
        if not (proposes and decision.commits) and not evidence.proposal:
            return Outcome()
        try:
            return self._proposed(ask.ref.removeprefix("refs/heads/"), course, turned, desired)
        except RaceLostError:
            return Outcome(again=True)
        except ReconcilerError as error:
            hint = error.diagnostics[0].hint
            return Outcome(notes=_waiting(decision, f"{error.message} [{error.code}]", hint=hint))

    def _proposed(self, branch: str, course: Course, turned: Turn, desired: Desired) -> Outcome:
        decision, evidence = turned.decision, turned.evidence
        forge = self._forge(desired.mesh.settings.record.forge)
        proposes = desired.mesh.settings.record.mode is RecordMode.PULL_REQUEST
        if forge is None and proposes:
            return Outcome(notes=_waiting(decision, "Mesh.record.forge is missing"))
        if forge is None:  # nobody to ask, and nothing to ask for
            return Outcome(evidence=replace(evidence, proposal={}))
        proposer = Proposer(self._repository, forge, branch=branch)
        if proposes and decision.commits:
            proposal = proposer.propose(
                decision,
                files=self._files(decision, course, desired),
                message=message(decision, course),
                base=desired.commit,
                at=self._clock.now(),
                known=evidence.proposal,
            )
        else:
            proposal = proposer.withdraw(course.key, base=desired.commit, known=evidence.proposal)
        notes, again = _proposed(course.key, proposal), proposal.outcome is ProposalOutcome.MERGED
        changed = dict(proposal.plain) != dict(evidence.proposal)
        found = replace(evidence, proposal=proposal.plain) if changed else None
        return Outcome(notes=notes, evidence=found, again=again)

    def retract(self, ask: Ask, key: Key, desired: Desired, known: Mapping[str, Any]) -> Outcome:
        """Take back what was proposed for a rollout that is gone; `again` if that has to be tried again."""
        settings = desired.mesh.settings.record
        forge = self._forge(settings.forge) if settings.mode is RecordMode.PULL_REQUEST else None
        if forge is None:
            return Outcome()
        try:
            proposer = Proposer(self._repository, forge, branch=ask.ref.removeprefix("refs/heads/"))
            proposal = proposer.withdraw(key, base=desired.commit, known=known)
        except ReconcilerError as error:
            why = f"{_WITHDRAWING}: {error.message} [{error.code}]"
            return Outcome(notes=_waits(key, why, hint=error.diagnostics[0].hint), again=True)
        return Outcome(notes=_proposed(key, proposal))

    def _forge(self, settings: ForgeSettings | None) -> Forge | None:
        """One for as long as we live: it remembers what it was told, and when it may be asked again."""
        if settings is None:
            return None
        if settings not in self._forges:
            forge = opened(settings, clock=self._clock)
            if forge is None:
                return None
            self._forges[settings] = Beside(forge, clock=self._clock, patience=self._patience)
        return self._forges[settings]

    def _files(self, decision: Decision, course: Course, desired: Desired) -> Mapping[str, bytes]:
        return files(decision, course, desired.source, lambda path: self._repository.read(desired.commit, path) or b"")


def opened(settings: ForgeSettings, *, clock: Clock) -> GitHub | GitLab | None:
    """The forge that the Mesh names; None if it names none, which is an error of the policies."""
    if settings.github is not None:
        there = settings.github
        return GitHub(there.repository, token_file=Path(there.token_file), api=there.api, clock=clock)
    if settings.gitlab is not None:
        said = settings.gitlab
        return GitLab(said.project, token_file=Path(said.token_file), api=said.api, clock=clock)
    return None


def _same(refused: _Refused, decision: Decision, desired: Desired) -> bool:
    return (refused.base, refused.decision) == (desired.commit, (decision.move, decision.status))


def _waiting(decision: Decision, why: str, *, hint: str = "") -> tuple[Diagnostic, ...]:
    words = {
        Move.ABORT: "its abort is in force, and can't be written to the branch",
        Move.HOLD: _WITHDRAWING,
    }.get(decision.move, f"it stays where it is: the {decision.move} can't be written to the branch")
    return _waits(decision.rollout, f"{words}: {why}", hint=hint)


def _waits(rollout: Key, why: str, *, hint: str) -> tuple[Diagnostic, ...]:
    return (
        Diagnostic(
            code="rollout-waiting",
            message=f"{rollout.short()}: {why}",
            severity=Severity.WARNING,
            hint=hint or "it is tried again in the next pass",
        ),
    )


def _proposed(rollout: Key, proposal: Proposal) -> tuple[Diagnostic, ...]:
    """Where a proposal waits for people, they are told so."""
    if proposal.outcome is ProposalOutcome.NOTHING or not proposal.note:
        return ()
    message = f"{rollout.short()}: {proposal.note}"
    return (Diagnostic(code="rollout-proposed", message=message, severity=Severity.WARNING, hint=proposal.url),)
