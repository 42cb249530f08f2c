"""A step as a proposal: what is asked of a forge, and what is done about what is there. Pure; `proposing` makes the calls.

One branch for each rollout, with one commit on top of the current `main`, and at most one open pull request of it. Whether
a step is done is never read here: what `main` contains decides that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.forge import PullRequest
from reconciler.gitrepo import PROPOSALS
from reconciler.model.key import Key
from reconciler.rollouts.decision import Decision, Move

LIMIT = 60_000
"""Code points of a description; GitHub's stop at 65,536."""

_TITLE = 250
_WITHDRAWN = "<!-- reconciler-proposal: withdrawn -->"
_MARK = re.compile(r"<!-- reconciler-proposal: step=([0-9a-f]{16}) base=([0-9a-f]{40}) -->")
_TRAILER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*: .*")
_TICKS = re.compile(r"`+")


class ProposalOutcome(StrEnum):
    """How a proposal stands after a pass.

    OPENED, UPDATED: it was written now. WAITING: it is there as it should be, for a person to merge. HELD: a person has closed
    it, so the step waits. LEFT_ALONE: a person has committed to it or sent it elsewhere, so it is theirs. MERGED: it has been
    merged, and `main` as we know it is older than that. WITHDRAWN: it was closed, since nothing is to be proposed any more.
    NOTHING: there is none, and none is needed.
    """

    OPENED = "opened"
    UPDATED = "updated"
    WAITING = "waiting"
    HELD = "held"
    LEFT_ALONE = "left-alone"
    MERGED = "merged"
    WITHDRAWN = "withdrawn"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """How a rollout's proposal stands.

    Attributes:
        outcome: What was done or found.
        number: Of the pull request; None without one.
        url: Where people find it; "" without one.
        sha: The commit that we last wrote to its branch; "" without one.
        plain: What to remember of it until the next pass, as JSON or YAML have it. It is a help, not needed: everything is found
            again without it.
        note: Where it stands, as a sentence for people without a full stop; "" for NOTHING.
    """

    outcome: ProposalOutcome
    number: int | None = None
    url: str = ""
    sha: str = ""
    plain: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an earlier pass remembered.

    Attributes:
        number: Of the pull request, 0 for none.
        sha: What we last wrote to the branch.
        step: Digest of what that proposed.
        ended: Whether nothing was left of it.
    """

    number: int = 0
    sha: str = ""
    step: str = ""
    ended: bool = True


def known_from(plain: Mapping[str, Any] | None) -> Known:
    """Read what `Proposal.plain` said; whatever is not of that form counts as forgotten."""
    found = plain or {}
    number, sha, step = found.get("number"), found.get("sha"), found.get("step")
    return Known(
        number=number if isinstance(number, int) and not isinstance(number, bool) else 0,
        sha=sha if isinstance(sha, str) else "",
        step=step if isinstance(step, str) else "",
        ended=str(found.get("outcome", ProposalOutcome.NOTHING)) in _ENDED,
    )


_ENDED = frozenset({ProposalOutcome.NOTHING, ProposalOutcome.WITHDRAWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """What the branch has.

    Attributes:
        sha: The commit.
        ours: Whether we wrote it, and nobody has added to it.
        parent: What it is on top of.
        tree: Id of its files.
        author: Who wrote it.
    """

    sha: str
    ours: bool
    parent: str
    tree: str
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be proposed.

    Attributes:
        step: Digest of the decision and of what it changes: the same step on the same policies has the same.
        base: The commit of `main` that it is for.
        branch: Name of that branch.
        tree: Id of the files that it leads to.
        title: Of the pull request.
        body: Of the pull request, with the mark that carries `step` and `base`.
    """

    step: str
    base: str
    branch: str
    tree: str
    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is there.

    Attributes:
        tip: The branch; None if there is none.
        pull: The open pull request of the branch, or else the newest; None if there never was one.
        known: What we remember.
    """

    tip: Tip | None = None
    pull: PullRequest | None = None
    known: Known = field(default_factory=Known)


class Publish(StrEnum):
    """What is asked of the forge."""

    NOTHING = "nothing"
    CREATE = "create"
    EDIT = "edit"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done, in this order.

    Attributes:
        outcome: What that comes to.
        push: Whether the branch gets a new commit.
        publish: What is asked of the forge.
        drop: Whether the branch goes.
    """

    outcome: ProposalOutcome
    push: bool = False
    publish: Publish = Publish.NOTHING
    drop: bool = False


def branch_of(rollout: Key) -> str:
    """The branch of a rollout's proposals. A slash between the two names, since both may contain hyphens."""
    return f"{PROPOSALS}{rollout.namespace}/{rollout.name}"


def step_digest(decision: Decision, before: Mapping[str, bytes | None]) -> str:
    """Names a step on the policies that it changes: what a person closes, and what stays closed until either differs.

    The reason is left out: it may have measured values in it, and those differ from pass to pass.

    Args:
        decision: What is to happen.
        before: The files that it changes, as `main` has them.
    """
    status = decision.status
    says = {
        "rollout": str(decision.rollout),
        "move": str(decision.move),
        "status": [str(status.phase), status.step, status.run, status.steps],
        "weight": decision.weight,
        "files": {path: hashlib.sha256(data or b"").hexdigest() for path, data in sorted(before.items())},
    }
    return hashlib.sha256(json.dumps(says, sort_keys=True).encode()).hexdigest()[:16]


def title_of(message: str) -> str:
    """The subject of a message, not longer than a forge takes."""
    subject = message.partition("\n")[0].strip()
    return subject if len(subject) <= _TITLE else f"{subject[: _TITLE - 1]}…"


def body_of(message: str, *, decision: Decision, step: str, base: str) -> str:
    """The description: what the commit says as a block, what a reader can do, our mark, and the trailers last.

    Trailers come last so that a merge that takes the description for its message keeps them. In a block nothing becomes
    markup or a mention. Where it would be too long, lines are left out at the end of the block, and it says so.
    """
    text, trailers = _parted(message.partition("\n")[2].strip("\n"))
    tail = [_advice(decision.move), f"<!-- reconciler-proposal: step={step} base={base} -->", trailers]
    room = LIMIT - sum(len(part) + 2 for part in tail) - 200
    if len(text) > room:
        text = text[:room].rpartition("\n")[0] + "\n(more was left out here; the commit's message has all of it)"
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(text)), default=0))
    block = f"{fence}text\n{text}\n{fence}" if text else ""
    return "\n\n".join(part for part in (block, *tail) if part) + "\n"


def _parted(body: str) -> tuple[str, str]:
    """The text of a message's body, and its trailers."""
    head, _, last = body.rpartition("\n\n")
    lines = last.strip("\n").split("\n")
    return (head, last.strip("\n")) if all(_TRAILER.fullmatch(line) for line in lines) else (body, "")


def _advice(move: Move) -> str:
    if move is Move.ABORT:
        return (
            "Proxies send all traffic to stable already, whatever `main` says. Merge this so that `main` says so too. "
            "A commit on this branch makes it yours, and it is left alone then."
        )
    return (
        "Merge this to let the rollout go on; close it to hold this step (reopen it, or change the rollout, to go on). "
        "A commit on this branch makes it yours, and it is left alone then."
    )


def withdrawn(body: str) -> str:
    """The description of a proposal that we close ourselves: so that it is not taken for one that a person has closed."""
    return f"{_WITHDRAWN}\n{_MARK.sub('', body)}"


def marked(body: str) -> tuple[str, str]:
    """The step and the base that a description is about; "" twice if it doesn't say, or if it was withdrawn."""
    found = None if _WITHDRAWN in body else _MARK.search(body)
    return (found[1], found[2]) if found else ("", "")


def choose(wanted: Wanted, sight: Sight) -> Choice:
    """What is done so that exactly what is wanted is proposed, and nobody's work or word is passed over."""
    tip, pull = sight.tip, sight.pull
    if pull is not None and pull.open:
        return _choose_open(wanted, sight, pull)
    if pull is not None and pull.merged and marked(pull.body) == (wanted.step, wanted.base):
        return Choice(ProposalOutcome.MERGED)
    if pull is not None and not pull.merged and _proposed(sight) == wanted.step:
        return Choice(ProposalOutcome.HELD)
    if tip is not None and not tip.ours and (pull is None or pull.head_sha != tip.sha):
        return Choice(ProposalOutcome.LEFT_ALONE)
    return Choice(ProposalOutcome.OPENED, push=not _is_current(wanted, tip), publish=Publish.CREATE)


def _choose_open(wanted: Wanted, sight: Sight, pull: PullRequest) -> Choice:
    if sight.tip is None:  # the forge is about to close it: somebody has just removed the branch
        return Choice(ProposalOutcome.WAITING)
    if not sight.tip.ours or pull.base != wanted.branch:
        return Choice(ProposalOutcome.LEFT_ALONE)
    current = _is_current(wanted, sight.tip)
    if current and _proposed(sight) == wanted.step:
        return Choice(ProposalOutcome.WAITING)
    return Choice(ProposalOutcome.UPDATED, push=not current, publish=Publish.EDIT)


def _is_current(wanted: Wanted, tip: Tip | None) -> bool:
    return tip is not None and tip.ours and (tip.parent, tip.tree) == (wanted.base, wanted.tree)


def choose_end(sight: Sight, branch: str) -> Choice:
    """What is done about a proposal that is not wanted any more. What a person has closed keeps its branch: they may reopen it."""
    tip, pull = sight.tip, sight.pull
    if pull is not None and pull.open:
        if pull.base != branch or (tip is not None and not tip.ours):
            return Choice(ProposalOutcome.LEFT_ALONE)
        return Choice(ProposalOutcome.WITHDRAWN, publish=Publish.CLOSE, drop=tip is not None)
    closed_by_person = pull is not None and not pull.merged and _WITHDRAWN not in pull.body
    return Choice(ProposalOutcome.NOTHING, drop=tip is not None and tip.ours and not closed_by_person)


def _proposed(sight: Sight) -> str:
    """The step that the pull request is about. Where somebody has edited our mark away, what we remember says it."""
    pull = sight.pull
    if pull is None or _WITHDRAWN in pull.body:
        return ""
    return marked(pull.body)[0] or (sight.known.step if sight.known.number == pull.number else "")


def note(outcome: ProposalOutcome, sight: Sight) -> str:
    """Where a proposal stands, for people."""
    tip, number = sight.tip, f"#{sight.pull.number}" if sight.pull else ""
    who = tip.author.partition(" <")[0] if tip is not None and not tip.ours else ""
    if outcome is ProposalOutcome.LEFT_ALONE and not (sight.pull and sight.pull.open):
        return f"its branch has a commit of {who}, so nothing is proposed until that branch is removed"
    if outcome is ProposalOutcome.LEFT_ALONE and not who and sight.pull is not None:
        return f"{number} is for {sight.pull.base} now, so it is left alone until it is merged or closed"
    return {
        ProposalOutcome.OPENED: f"waits for {number} to be merged",
        ProposalOutcome.UPDATED: f"waits for {number} to be merged",
        ProposalOutcome.WAITING: f"waits for {number} to be merged",
        ProposalOutcome.HELD: f"{number} was closed, so this step is held; reopen it or change the rollout",
        ProposalOutcome.LEFT_ALONE: f"{number} has a commit of {who}, so it is left alone until it is merged or closed",
        ProposalOutcome.MERGED: f"{number} is merged",
        ProposalOutcome.WITHDRAWN: f"{number} was closed, since nothing is to be proposed any more",
        ProposalOutcome.NOTHING: "",
    }[outcome]
