"""From a decision to the policy branch: a commit, or a proposal where the branch is protected. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.clock import Clock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Desired
from reconciler.cycle.proposal import Proposal, ProposalOutcome
from reconciler.cycle.proposing import Proposer
from reconciler.errors import Diagnostic, ReconcilerError, Severity
from reconciler.forge import Forge, GitHub
from reconciler.gitrepo import RaceLostError, Repository
from reconciler.model.proxy import Forge as ForgeSettings
from reconciler.model.proxy import RecordMode
from reconciler.rollouts.course import Course
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.engine import Turn
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.messages import message
from reconciler.rollouts.writing import files


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
    """

    def __init__(self, repository: Repository, clock: Clock, *, attempts: int) -> None:
        self._repository = repository
        self._clock = clock
        self._attempts = max(1, attempts)
        self._lost = 0
        self._forges: dict[ForgeSettings, GitHub] = {}

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
        branch = ask.ref.removeprefix("refs/heads/")
        try:
            if desired.mesh.settings.record.mode is RecordMode.PULL_REQUEST:
                return Outcome()  # proposed once proxies have what they are to have
            return self._commit(branch, course, decision, desired) if decision.commits else Outcome()
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
        return Outcome(landed=True, commit=commit, subject=words.partition("\n")[0])

    def propose(self, ask: Ask, course: Course, turned: Turn, desired: Desired) -> Outcome:
        """Propose what was decided, where steps are proposed; comes after the push, since forges may be slow.

        One step per proposal; it is withdrawn when there is nothing to propose any more.
        """
        decision, evidence = turned.decision, turned.evidence
        settings = desired.mesh.settings.record
        if settings.mode is not RecordMode.PULL_REQUEST or not (decision.commits or evidence.proposal):
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
        if forge is None:
            return Outcome(notes=_waiting(decision, "Mesh.record.forge is missing"))
        proposer = Proposer(self._repository, forge, branch=branch)
        if decision.commits:
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
        notes, again = _proposed(decision, proposal), proposal.outcome is ProposalOutcome.MERGED
        changed = dict(proposal.plain) != dict(evidence.proposal)
        found = replace(evidence, proposal=proposal.plain) if changed else None
        return Outcome(notes=notes, evidence=found, again=again)

    def _forge(self, settings: ForgeSettings | None) -> Forge | None:
        """One for as long as we live: it remembers what it was told, and when it may be asked again."""
        if settings is None or settings.github is None:
            return None
        if settings not in self._forges:
            said = settings.github
            token = Path(said.token_file)
            self._forges[settings] = GitHub(said.repository, token_file=token, api=said.api, clock=self._clock)
        return self._forges[settings]

    def _files(self, decision: Decision, course: Course, desired: Desired) -> Mapping[str, bytes]:
        return files(decision, course, desired.source, lambda path: self._repository.read(desired.commit, path) or b"")


def _waiting(decision: Decision, why: str, *, hint: str = "") -> tuple[Diagnostic, ...]:
    step = "its abort is in force, and" if decision.move is Move.ABORT else "it stays where it is:"
    return (
        Diagnostic(
            code="rollout-waiting",
            message=f"{decision.rollout.short()}: {step} the {decision.move} can't be written to the branch: {why}",
            severity=Severity.WARNING,
            hint=hint or "it is tried again in the next pass",
        ),
    )


def _proposed(decision: Decision, proposal: Proposal) -> tuple[Diagnostic, ...]:
    """Where a proposal waits for people, they are told so."""
    if proposal.outcome is ProposalOutcome.NOTHING or not proposal.note:
        return ()
    message = f"{decision.rollout.short()}: {proposal.note}"
    return (Diagnostic(code="rollout-proposed", message=message, severity=Severity.WARNING, hint=proposal.url),)
