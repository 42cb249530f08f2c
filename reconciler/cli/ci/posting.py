"""Telling a forge what a preview came to: the comment, the status, the check with its annotations.

One preview may be of several pull requests (one head, several bases), and of none (a merge group). An older preview never replaces
what is said of a newer head: the forge is asked which pull requests are at this commit now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from reconciler.cli.ci.computing import failed
from reconciler.cli.ci.environment import surroundings
from reconciler.cli.ci.received import received, without_preview
from reconciler.cli.ci.subject import Subject
from reconciler.errors import Diagnostic, ReconcilerError
from reconciler.forge import (
    Annotation,
    AnnotationLevel,
    CheckConclusion,
    CheckResult,
    Conversation,
    PullRequest,
    StatusState,
)
from reconciler.gitrepo import PROPOSALS
from reconciler.plan import count
from reconciler.plan.review import DocumentError, Neighbour, Remark, Review, Verdict, render_review

_T = TypeVar("_T")
_ASKED = 50
"""Other pull requests that are asked for their files; each is a call."""

_SHARED = 20
_ANNOTATIONS = 500

_STATES = {
    Verdict.CHANGES: StatusState.SUCCESS,
    Verdict.NOTHING: StatusState.SUCCESS,
    Verdict.REFUSED: StatusState.FAILURE,
    Verdict.INVALID: StatusState.FAILURE,
    Verdict.CONFLICT: StatusState.FAILURE,
    Verdict.FAILED: StatusState.ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Under which names it is said.

    Attributes:
        key: Of the comment.
        context: Of the status and the check run.
    """

    key: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was said.

    Attributes:
        verdict: What the preview came to.
        head: The commit.
        comments: By number of the pull request what became of the comment, in words.
        status: What became of the status, in words.
        check: How the check is shown.
        annotations: How many messages stand at lines.
        doubts: What could not be used, in words.
    """

    verdict: str
    head: str
    comments: tuple[tuple[int, str], ...]
    status: str
    check: str
    annotations: int
    doubts: tuple[str, ...] = ()


def post(talk: Conversation, meant: Subject, folder: Path, names: Names) -> Told:
    """Say it. Safe to repeat: what is there already is not written again. What can't be said keeps nothing else from being said.

    Raises:
        ReconcilerError: The forge could not be told everything.
    """
    doubts: tuple[str, ...] = ()
    try:
        review = received(folder, meant)
    except DocumentError as error:
        review = failed(without_preview(error, meant), meant)
        doubts = tuple(item.message for item in error.diagnostics)
    unsigned = "; nobody who may has signed its head" if review.unsigned else ""
    state, words = _STATES[review.verdict], _words(review) + unsigned
    status, first = _tried(
        lambda: talk.set_status(meant.head, context=names.context, state=state, description=words, url=meant.job)
    )
    comments, second = _tried(
        lambda: tuple((pull.number, _comment(talk, meant, review, pull, names)) for pull in _pulls(talk, meant, review))
    )
    check, third = _tried(lambda: _check(talk, meant, review, names, words))
    if status is None or comments is None or check is None:
        raise ReconcilerError(diagnostics=dict.fromkeys((*first, *second, *third)))
    return Told(
        verdict=str(review.verdict),
        head=meant.head,
        comments=comments,
        status=str(status),
        check=str(check.form),
        annotations=check.annotations,
        doubts=doubts,
    )


def _check(talk: Conversation, meant: Subject, review: Review, names: Names, words: str) -> CheckResult:
    good = _STATES[review.verdict] is StatusState.SUCCESS
    return talk.check(
        meant.head,
        name=names.context,
        conclusion=CheckConclusion.SUCCESS if good else CheckConclusion.FAILURE,
        title=words,
        summary=render_review(review, surroundings(meant)),
        annotations=at_lines(review),
        url=meant.job,
    )


def _tried(call: Callable[[], _T]) -> tuple[_T | None, tuple[Diagnostic, ...]]:
    try:
        return call(), ()
    except ReconcilerError as error:
        return None, error.diagnostics


def at_lines(review: Review) -> tuple[Annotation, ...]:
    """Every message that has a line at the head and is this pull request's, errors first."""
    found = [item for item in (*review.refused, *review.remarks) if item.diagnostic.file and not item.before]
    return tuple(_annotation(item) for item in sorted(found, key=lambda item: not item.error))[:_ANNOTATIONS]


def _annotation(item: Remark) -> Annotation:
    found = item.diagnostic
    return Annotation(
        path=found.file or "",
        line=max(1, found.line or 1),
        column=found.column or 0,
        level=AnnotationLevel.FAILURE if item.error else AnnotationLevel.WARNING,
        title=found.code,
        message="\n".join(part for part in (found.message or found.code, found.hint) if part),
    )


def _pulls(talk: Conversation, meant: Subject, review: Review) -> tuple[PullRequest, ...]:
    """The open pull requests whose head this is, and which the preview is of."""
    if meant.trigger not in {"pull_request", "pull_request_target"}:
        return ()
    found = talk.open_at(meant.head)
    if meant.number:
        return tuple(pull for pull in found if pull.number == meant.number)
    ours = tuple(pull for pull in found if pull.base == review.base_ref)
    return ours or (found if review.verdict is Verdict.FAILED else ())


def _comment(talk: Conversation, meant: Subject, review: Review, pull: PullRequest, names: Names) -> str:
    # A token that may not read other pull requests is no reason to say nothing of this one.
    others, _ = _tried(lambda: tuple(_neighbours(talk, review, pull)))
    around = replace(surroundings(meant), neighbours=others)
    body = render_review(review, around)
    return str(
        talk.comment(pull.number, key=names.key, body=body, create=review.verdict is not Verdict.NOTHING).written
    )


def _neighbours(talk: Conversation, review: Review, pull: PullRequest) -> Iterator[Neighbour]:
    """Other open pull requests into the same branch that change files of this one."""
    if not review.files:
        return
    ours = set(review.files)
    others = [item for item in talk.open_pulls() if item.number != pull.number and item.base == pull.base]
    for item in others[:_ASKED]:
        shared = sorted(ours.intersection(talk.changed_files(item.number)))
        if shared:
            yield Neighbour(
                number=item.number,
                title=item.title,
                url=_address(item.url),
                files=tuple(shared[:_SHARED]),
                own=item.head.startswith(PROPOSALS),
            )


def _address(url: str) -> str:
    """An address that a forge gives, if it can stand in a link."""
    return url if url.startswith(("https://", "http://")) and not set(url) & set(" ()<>\n\t") else ""


def _words(review: Review) -> str:
    """One line for the status."""
    match review.verdict:
        case Verdict.NOTHING:
            return "nothing changes"
        case Verdict.CHANGES:
            numbers = f"{review.create} to create, {review.update} to update, {review.delete} to delete"
            what = review.headline or review.traffic or numbers
            return f"{what} on {review.touched} of {count(review.proxies, 'proxy')}"
        case Verdict.REFUSED:
            return f"refused by {', '.join(sorted({item.diagnostic.code for item in review.refused}))}"
        case Verdict.INVALID:
            return f"the merged policies can't be applied: {count(sum(item.error for item in review.remarks), 'error')}"
        case Verdict.CONFLICT:
            return f"conflicts with {review.base_ref} in {count(len(review.conflicts), 'policy file')}"
        case Verdict.FAILED:
            return "the preview could not be computed"
