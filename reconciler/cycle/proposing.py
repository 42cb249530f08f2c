"""Where `main` is protected: the step of a rollout as a pull request. Comes in the place of committing to `main`.

Looks at the forge and the branch, lets `proposal` choose, and makes the calls. Killed anywhere in between, the next pass
finds what is there and goes on from that. It never merges, never touches `main`, and never says that a step is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconciler.cycle.proposal import (
    Choice,
    Known,
    Proposal,
    ProposalOutcome,
    Publish,
    Sight,
    Tip,
    Wanted,
    body_of,
    branch_of,
    choose,
    choose_end,
    known_from,
    marked,
    note,
    step_digest,
    title_of,
    withdrawn,
)
from reconciler.forge import ExistsError, Forge, ForgePermissionError, ForgeUnavailableError, PullRequest, PullState
from reconciler.gitrepo import Repository
from reconciler.model.key import Key
from reconciler.rollouts.decision import Decision


class Proposer:
    """Proposes the steps of rollouts on one policy branch.

    Args:
        repository: Where the policy branch is, fetched before each pass as always.
        forge: Where pull requests of that repository are.
        branch: Name of the policy branch.
    """

    def __init__(self, repository: Repository, forge: Forge, *, branch: str = "main") -> None:
        self._repository = repository
        self._forge = forge
        self._branch = branch

    def propose(
        self,
        decision: Decision,
        *,
        files: Mapping[str, bytes],
        message: str,
        base: str,
        at: datetime,
        known: Mapping[str, Any] | None = None,
    ) -> Proposal:
        """Propose one step, or find that it is proposed, held or taken over. Nothing is written where nothing differs.

        Args:
            decision: The step.
            files: All files that it changes, with their content then, by path.
            message: Of the commit; subject, empty line, body, trailers.
            base: The head of the policy branch that it was decided on, by full id.
            at: Time of the commit.
            known: `Proposal.plain` of the pass before, if it is remembered.

        Raises:
            ForgeUnavailableError: The forge does not answer, or wants us to wait; `retry_after` says how long.
            RaceLostError: Somebody wrote to the branch just now: fetch, and decide again.
            ForgeAuthenticationError, ForgePermissionError, ForgeRefusedError, TokenFileError: It will not work until a person
                mends what the message says.
            PushRefusedError, DirtyWorkTreeError, ...: As `Repository.propose`.
        """
        repository = self._repository
        tree = repository.tree_with(base, files)
        if tree == repository.tree_id(base):
            return self.withdraw(decision.rollout, base=base, known=known)
        step = step_digest(decision, {path: repository.read(base, path) for path in files})
        wanted = Wanted(
            step=step,
            base=base,
            branch=self._branch,
            tree=tree,
            title=title_of(message),
            body=body_of(message, decision=decision, step=step, base=base),
        )
        branch = branch_of(decision.rollout)
        sight = self._sight(branch, base, known_from(known))
        choice = choose(wanted, sight)
        sha = _ours(sight)
        if choice.push:
            expect = sight.tip.sha if sight.tip is not None else None
            sha = repository.propose(branch, expect=expect, parent=base, files=files, message=message, at=at)
        pull = self._publish(choice.publish, wanted, branch, sight.pull)
        return _proposal(choice, replace(sight, pull=pull), sha=sha, step=step)

    def withdraw(self, rollout: Key, *, base: str, known: Mapping[str, Any] | None = None) -> Proposal:
        """Close what was proposed for a rollout that needs nothing now, and remove its branch; cheap where there is nothing.

        What a person has committed to is left alone, and what a person has closed stays as it is.

        Args:
            rollout: Which one.
            base: The head of the policy branch, by full id.
            known: `Proposal.plain` of the pass before, if it is remembered.

        Raises:
            ForgeUnavailableError, RaceLostError, ...: As `propose`.
        """
        branch, remembered = branch_of(rollout), known_from(known)
        if remembered.ended and self._repository.branch(branch) is None:
            return Proposal(outcome=ProposalOutcome.NOTHING)
        sight = self._sight(branch, base, remembered)
        choice = choose_end(sight, self._branch)
        if choice.publish is Publish.CLOSE and sight.pull is not None:
            body = withdrawn(sight.pull.body)
            self._forge.edit(sight.pull.number, body=body, state=PullState.CLOSED)
        if choice.drop and sight.tip is not None:
            self._repository.drop(branch, expect=sight.tip.sha)
        return _proposal(choice, sight, sha=_ours(sight), step=remembered.step)

    def _sight(self, branch: str, base: str, known: Known) -> Sight:
        pulls = list(self._forge.find(branch))
        if known.number and all(pull.number != known.number for pull in pulls):
            # Lists lag behind, and another repository may have been named since.
            with suppress(ForgePermissionError):
                pulls += [pull for pull in (self._forge.get(known.number),) if pull.head == branch]
        return Sight(tip=self._tip(branch, base, known), pull=self._relevant(pulls), known=known)

    def _relevant(self, pulls: Sequence[PullRequest]) -> PullRequest | None:
        """Open before closed, for our branch before another, new before old."""
        return max(pulls, key=lambda pull: (pull.open, pull.base == self._branch, pull.number), default=None)

    def _tip(self, branch: str, base: str, known: Known) -> Tip | None:
        sha = self._repository.branch(branch)
        if sha is None:
            return None
        info = self._repository.commit_info(sha)
        parent = info.parents[0] if len(info.parents) == 1 else ""
        # Without a memory of it: by its author and committer, and nobody else's commits below it.
        alone = bool(parent) and self._repository.is_ours(info) and self._repository.is_ancestor(parent, base)
        return Tip(
            sha=sha,
            ours=sha == known.sha or alone,
            parent=parent,
            tree=self._repository.tree_id(sha),
            author=info.author if not self._repository.is_ours(info) else info.committer,
        )

    def _publish(self, publish: Publish, wanted: Wanted, branch: str, pull: PullRequest | None) -> PullRequest | None:
        if publish is Publish.EDIT and pull is not None:
            return self._forge.edit(pull.number, title=wanted.title, body=wanted.body)
        if publish is not Publish.CREATE:
            return pull
        try:
            return self._forge.create(head=branch, base=wanted.branch, title=wanted.title, body=wanted.body)
        except ExistsError as error:  # the list was older than it, or another process was faster
            found = self._relevant([item for item in self._forge.find(branch) if item.open])
            if found is None or found.base != wanted.branch:
                raise ForgeUnavailableError(f"{error.message}, but it is not shown yet") from error
            return self._forge.edit(found.number, title=wanted.title, body=wanted.body)


def _ours(sight: Sight) -> str:
    """The newest commit of ours that is known."""
    return sight.tip.sha if sight.tip is not None and sight.tip.ours else sight.known.sha


def _proposal(choice: Choice, sight: Sight, *, sha: str, step: str) -> Proposal:
    pull, outcome = sight.pull, choice.outcome
    if outcome is ProposalOutcome.LEFT_ALONE and pull is not None:
        step = marked(pull.body)[0] or sight.known.step  # what is wanted now has not been proposed
    plain = {
        "number": pull.number if pull is not None else 0,
        "sha": sha,
        "step": step,
        "outcome": str(outcome),
    }
    return Proposal(
        outcome=outcome,
        number=pull.number if pull is not None else None,
        url=pull.url if pull is not None else "",
        sha=sha,
        plain={} if outcome is ProposalOutcome.NOTHING else plain,
        note=note(outcome, sight),
    )
