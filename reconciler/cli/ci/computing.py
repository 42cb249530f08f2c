"""From what is to be previewed to what is said of it: fetching what a clone lacks, merging, comparing. Writes nothing.

Whatever fails becomes a preview that says so: an old one must never be taken for the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reconciler import __version__
from reconciler.cli.backstop import asked_of_envoy
from reconciler.cli.ci.live import with_live
from reconciler.cli.ci.subject import Subject
from reconciler.clock import SystemClock
from reconciler.cycle import Compiler, MergePreview, Placer, preview_merge
from reconciler.cycle.history import allowed_since
from reconciler.cycle.report import Stopwatch, silent
from reconciler.envoy.binary import EnvoyNotFoundError
from reconciler.envoy.validation import Validator
from reconciler.errors import Diagnostic, ReconcilerError, Severity
from reconciler.gitrepo import AuthenticationError, RefNotFoundError, Repository
from reconciler.model.plan import Plan
from reconciler.plan.review import Review, Verdict, review_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A preview, and the plan behind it; None without one."""

    review: Review
    plan: Plan | None = None


def compute(
    subject: Subject, repository: Repository, *, remote: str, envoy: bool | None, daemon: Path | None = None
) -> Computed:
    """What merging would do.

    Args:
        subject: What is merged into what.
        repository: A clone, which may lack most of it.
        remote: Name of the remote that what it lacks is fetched from.
        envoy: Whether the real Envoy is asked; None for where there is one.
        daemon: Socket of a daemon that is asked about the live fleet too.
    """
    try:
        base, head, doubts = _commits(subject, repository, remote)
    except ReconcilerError as error:
        return Computed(review=failed(error.diagnostics, subject))
    try:
        validator = _validator(envoy)
        found = preview_merge(
            repository,
            base,
            head,
            compiler=Compiler(),
            watch=Stopwatch(silent),
            record=partial(_record, repository, remote),
            now=SystemClock().now(),
            envoy=None if validator is None else lambda desired, tree: asked_of_envoy(desired, tree, validator),
        )
    except ReconcilerError as error:
        return Computed(review=failed(error.diagnostics, subject, base=base, head=head))
    if found.conflicts:
        review = Review(verdict=Verdict.CONFLICT, base_ref=subject.base_ref, base=base, head=head,
                        conflicts=found.conflicts, files=found.changed, version=__version__)  # fmt: skip
        return Computed(review=review)
    review = _reviewed(found, subject, repository, doubts=doubts, envoy=validator.version if validator else "")
    if daemon is not None:
        review = with_live(review, daemon, allow=allowed_since(repository, base, head))
    return Computed(review=review, plan=found.plan)


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
        commit = source.tip(f"refs/heads/{name}")
        source.bring(commit)
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
