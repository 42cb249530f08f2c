"""What Git's history says to a pass: what was acknowledged, what has been verified before, where receipts are."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from reconciler.cycle.desired import Compiler
from reconciler.cycle.report import Stopwatch
from reconciler.errors import Diagnostic, PolicyError, ReconcilerError
from reconciler.gitrepo import RefNotFoundError, Repository
from reconciler.model.proxy import RecordSettings
from reconciler.model.receipt import OutcomeKind, Receipt
from reconciler.plan import Split, splits
from reconciler.record import Record, RecordUnreadableError

ALLOW_TRAILER = "Reconcile-Allow"
_COMMITS_BACK = 50


def allowed_since(repository: Repository, base: str | None, head: str) -> frozenset[str]:
    """Guard codes that commits after the last applied one acknowledge, by a `Reconcile-Allow:` trailer on any of them.

    Before the first receipt, and if the last applied commit is not in the repository any more, only the head itself is asked.
    Uncommitted files acknowledge nothing.
    """
    if not head:
        return frozenset()
    try:
        commits = repository.log(head, exclude=base) if base else islice(repository.log(head), 1)
    except RefNotFoundError:
        commits = islice(repository.log(head), 1)
    return frozenset(
        code.strip()
        for commit in commits
        for value in commit.trailers.get(ALLOW_TRAILER, ())
        for code in value.split(",")
    )


def newest_receipt(record: Record) -> tuple[Receipt | None, tuple[Diagnostic, ...]]:
    """What is known to be live; and what is wrong with the tip of the record, if somebody broke it.

    Then the newest receipt below it that can be read counts: what it says was true, and the next receipt goes on top.
    """
    try:
        return record.latest(), ()
    except RecordUnreadableError as error:
        return next(record.history(datetime.fromtimestamp(0, UTC)), None), error.diagnostics


def require_apart(branch: str, ref: str) -> None:
    """Refuse to write receipts onto the branch that policies are read from: each would be a new head.

    Raises:
        PolicyError: They are the same branch.
    """
    if _same_branch(branch, ref):
        raise PolicyError(
            f"Mesh.record.branch is {branch}, the branch that policies are read from",
            code="record-branch",
            hint="name a branch of its own for the record, such as reconciler/record",
        )


def verified_splits(
    repository: Repository, compiler: Compiler, record: Record, *, since: datetime, watch: Stopwatch
) -> tuple[Split, ...]:
    """The splits that receipts since then show as live, so that going back to one of them is never refused."""
    found: dict[Split, None] = {}
    seen: set[str] = set()
    for receipt in record.history(since):
        if receipt.policy_commit in seen:
            continue
        seen.add(receipt.policy_commit)
        if len(seen) > _COMMITS_BACK:
            break
        try:
            desired = compiler.desired(repository.tree(receipt.policy_commit), watch)
        except ReconcilerError:
            continue
        for key, entry in receipt.proxies.items():
            if entry.outcome is OutcomeKind.APPLIED and key in desired.views:
                found.update(dict.fromkeys(splits(desired.views[key])))
    return tuple(found)


def last_good_branch(repository: Repository, compiler: Compiler, head: str, *, ref: str, watch: Stopwatch) -> str:
    """The record branch that the newest usable commit before an unusable head names; the default if there is none."""
    for commit in islice(repository.log(head, first_parent=True), 1, _COMMITS_BACK):
        try:
            branch = compiler.desired(repository.tree(commit.id), watch).mesh.settings.record.branch
        except ReconcilerError:
            continue
        if not _same_branch(branch, ref):
            return branch
    return RecordSettings().branch


def _same_branch(branch: str, ref: str) -> bool:
    return branch == ref.removeprefix("refs/heads/")
