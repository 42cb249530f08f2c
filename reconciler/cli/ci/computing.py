"""From what is to be previewed to what is said of it: fetching what a clone lacks, merging, comparing. Writes nothing.

Whatever fails becomes a preview that says so: an old one must never be taken for the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from reconciler import __version__
from reconciler.cli.backstop import asked_of_envoy
from reconciler.cli.ci.live import with_live, without_live
from reconciler.cli.ci.signers import trusting
from reconciler.cli.ci.subject import Subject
from reconciler.cli.remote import Elsewhere, Place
from reconciler.clock import SystemClock
from reconciler.cycle import Compiler, MergePreview, Placer, preview_merge
from reconciler.cycle.history import allowed_since
from reconciler.cycle.report import Stopwatch, silent
from reconciler.cycle.trust import Trust
from reconciler.cycle.vouching import unvouched
from reconciler.envoy.binary import EnvoyNotFoundError
from reconciler.envoy.validation import Validator
from reconciler.errors import Diagnostic, ReconcilerError, Severity
from reconciler.gitrepo import AuthenticationError, RefNotFoundError, Repository
from reconciler.model.plan import Plan
from reconciler.plan.review import Review, Verdict, review_of
from reconciler.settings import TrustSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A preview, and the plan behind it; None without one."""

    review: Review
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How a preview is computed.

    Attributes:
        remote: Name of the remote that what the clone lacks is fetched from.
        envoy: Whether the real Envoy is asked; None for where there is one.
        daemon: A daemon that is asked about the live fleet too; None for nobody.
        unasked: Why there is none, though one is meant to be asked; "" if not.
        trust: Whose commits count.
    """

    remote: str
    envoy: bool | None
    daemon: Place | None = None
    unasked: str = ""
    trust: TrustSettings = field(default_factory=TrustSettings)


def compute(subject: Subject, repository: Repository, wishes: Wishes) -> Computed:
    """What merging would do.

    Args:
        subject: What is merged into what.
        repository: A clone, which may lack most of it.
        wishes: How.
    """
    try:
        base, head, doubts = _commits(subject, repository, wishes.remote)
    except ReconcilerError as error:
        return Computed(review=failed(error.diagnostics, subject))
    try:
        with trusting(wishes.trust, repository, base) as trust:
            return _compared(subject, repository, wishes, base, head, doubts, trust)
    except ReconcilerError as error:
        return Computed(review=failed(error.diagnostics, subject, base=base, head=head))


def _compared(
    subject: Subject,
    repository: Repository,
    wishes: Wishes,
    base: str,
    head: str,
    doubts: tuple[Diagnostic, ...],
    trust: Trust,
) -> Computed:
    validator = _validator(wishes.envoy)
    found = preview_merge(
        repository,
        base,
        head,
        compiler=Compiler(),
        watch=Stopwatch(silent),
        record=partial(_record, repository, wishes.remote),
        now=SystemClock().now(),
        envoy=None if validator is None else lambda desired, tree: asked_of_envoy(desired, tree, validator),
        trusted=trust.trusted,
    )
    if found.conflicts:
        review = Review(verdict=Verdict.CONFLICT, base_ref=subject.base_ref, base=base, head=head,
                        conflicts=found.conflicts, files=found.changed, version=__version__)  # fmt: skip
        return Computed(review=review)
    if subject.lands:
        # Main is moved to this very commit, which the merge queue has made: nothing else could be signed instead.
        found = replace(found, errors=(*trust.findings(head), *found.errors))
    else:
        doubts = (*doubts, *unvouched(repository, trust, base, head))
    review = _reviewed(found, subject, repository, doubts=doubts, envoy=validator.version if validator else "")
    review = replace(review, unsigned=not trust.trusted(head))
    return Computed(review=_live(review, subject, repository, wishes, trust), plan=found.plan)


def _live(review: Review, subject: Subject, repository: Repository, wishes: Wishes, trust: Trust) -> Review:
    """The preview with what the live fleet would do, as far as somebody is asked."""
    if wishes.unasked:
        return without_live(review, wishes.unasked)
    if wishes.daemon is None:
        return review
    if subject.foreign:
        return without_live(review, "it is not asked for pull requests of forks")
    allow = allowed_since(repository, review.base, review.head, trusted=trust.trusted)
    # What options name may be a commit, or a branch by another name than the daemon has for it. Over HTTP, to ask which branch it
    # serves takes a role that a preview needs for nothing else.
    by_name = subject.trigger != "options" or isinstance(wishes.daemon, Elsewhere)
    ref = subject.base_ref.removeprefix(f"{wishes.remote}/") if by_name else ""
    return with_live(review, wishes.daemon, ref=ref, allow=allow)


def _reviewed(
    found: MergePreview, subject: Subject, repository: Repository, *, doubts: tuple[Diagnostic, ...], envoy: str
) -> Review:
    merged = found.merged
    return review_of(
        found.plan,
        errors=found.errors,
        doubts=doubts,
        known=found.known,
        place=Placer(merged.tree, repository.tree(merged.head)),
        base_ref=subject.base_ref,
        base=merged.base,
        head=merged.head,
        files=found.changed,
        envoy=envoy if found.plan is not None and not found.errors else "",
        version=__version__,
    )


def failed(errors: tuple[Diagnostic, ...], subject: Subject, *, base: str = "", head: str = "") -> Review:
    """A preview that there is none, and why."""
    return review_of(
        None,
        errors=errors,
        base_ref=subject.base_ref,
        base=base or subject.base,
        head=head or subject.head,
        version=__version__,
        failed=True,
    )


def _validator(envoy: bool | None) -> Validator | None:
    if envoy is False:
        return None
    try:
        return Validator()
    except EnvoyNotFoundError:
        if envoy:
            raise
        return None


def _record(repository: Repository, remote: str, branch: str) -> str | None:
    """The tip of the record branch, of which this clone may have nothing; None if it can't be had."""
    try:
        if tip := repository.branch(branch):
            return tip
        try:
            tip = repository.remote(remote).tip(f"refs/heads/{branch}")
            repository.remote(remote).bring(tip, ref=f"refs/heads/{branch}")
        except ReconcilerError:
            tip = repository.resolve(f"refs/remotes/{remote}/{branch}")
    except ReconcilerError:
        return None
    return tip


def _commits(subject: Subject, repository: Repository, remote: str) -> tuple[str, str, tuple[Diagnostic, ...]]:
    """The base as it is now and the head, with their histories here; and what has to be said about them."""
    source = repository.remote(remote)
    doubts: tuple[Diagnostic, ...] = ()
    if subject.trigger == "options":
        base, head = (_named(repository, name, remote) for name in (subject.base_ref, subject.head))
    else:
        base, head = subject.base, subject.head
        if not base:
            base, doubts = _tip(repository, subject.base_ref, remote)
        for commit, ref in ((base, f"refs/heads/{subject.base_ref}"), (head, subject.head_ref)):
            source.bring(commit, ref=ref)
    source.connect(base, head)
    return base, head, doubts


def _named(repository: Repository, name: str, remote: str) -> str:
    """A branch, a commit or anything that Git knows here, else a branch of the remote."""
    try:
        return repository.resolve(name)
    except RefNotFoundError:
        source = repository.remote(remote)
        if not source.known:
            raise
        # A clone of one branch has no `origin/main`; what that would be is what the branch is there.
        ref = f"refs/heads/{name.removeprefix('refs/remotes/').removeprefix(f'{remote}/')}"
        commit = source.tip(ref)
        source.bring(commit, ref=ref)
        return commit


def _tip(repository: Repository, branch: str, remote: str) -> tuple[str, tuple[Diagnostic, ...]]:
    """What the branch is now; where the remote does not say it, what the clone last saw of it, with a warning."""
    try:
        return repository.remote(remote).tip(f"refs/heads/{branch}"), ()
    except ReconcilerError as error:
        try:
            seen = repository.resolve(f"refs/remotes/{remote}/{branch}")
        except RefNotFoundError:
            raise error from None
        # A checkout that keeps no credentials has just fetched all branches: what it saw of the base is a few seconds old.
        return seen, () if isinstance(error, AuthenticationError) else (_not_asked(branch, seen, error),)


def _not_asked(branch: str, seen: str, error: ReconcilerError) -> Diagnostic:
    return Diagnostic(
        code="ci-base-not-asked",
        severity=Severity.WARNING,
        message=f"what {branch} is now is not known ({error.message}); this is against {seen[:10]}, which the clone has of it",
        hint="let the checkout keep its credentials, or take no notice if the branch has not moved since the checkout",
    )
