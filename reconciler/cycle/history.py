"""What Git's history says to a pass: what was acknowledged, what has been verified before, where receipts are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from reconciler.cycle.desired import Compiler
from reconciler.cycle.report import Stopwatch
from reconciler.errors import Diagnostic, PolicyError, ReconcilerError
from reconciler.gitrepo import RefNotFoundError, Repository
from reconciler.model.key import Key
from reconciler.model.proxy import RecordSettings
from reconciler.model.receipt import OutcomeKind, Receipt
from reconciler.plan import Split, splits
from reconciler.record import Record, RecordUnreadableError

ALLOW_TRAILER = "Reconcile-Allow"
_COMMITS_BACK = 50
ARRIVED = frozenset({OutcomeKind.APPLIED, OutcomeKind.DRIFTED})
"""Outcomes of a proxy that has what its commit asks, as far as it was to be pushed."""


def everybody(_commit: str) -> bool:
    """Commits count whoever made them."""
    return True


def allowed_since(
    repository: Repository, base: str | None, head: str, *, trusted: Callable[[str], bool] = everybody
) -> frozenset[str]:
    """Guard codes that commits after the last applied one acknowledge, by a `Reconcile-Allow:` trailer on any of them.

    Before the first receipt, and if the last applied commit is not in the repository any more, only the head itself is asked.
    Uncommitted files acknowledge nothing, and neither do commits that nobody who may has signed, where they have to be.
    """
    return frozenset(
        code for commit, codes in acknowledging(repository, base, head) if trusted(commit) for code in codes
    )


def acknowledging(repository: Repository, base: str | None, head: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """The commits that `allowed_since` means, whoever has signed them, each with the codes that it acknowledges."""
    if not head:
        return ()
    try:
        commits = repository.log(head, exclude=base) if base else islice(repository.log(head), 1)
    except RefNotFoundError:
        commits = islice(repository.log(head), 1)
    return tuple(
        (commit.id, frozenset(code.strip() for value in commit.trailers[ALLOW_TRAILER] for code in value.split(",")))
        for commit in commits
        if ALLOW_TRAILER in commit.trailers
    )


def newest_receipt(record: Record) -> tuple[Receipt | None, tuple[Diagnostic, ...]]:
    """What is known to be live; and what is wrong with the tip of the record, if somebody broke it.

    Then the newest receipt below it that can be read counts: what it says was true, and the next receipt goes on top.
    """
    try:
        return record.latest(), ()
    except RecordUnreadableError as error:
        return next(record.history(datetime.fromtimestamp(0, UTC)), None), error.diagnostics


def commits_since_applied(record: Record, proxies: Iterable[Key]) -> tuple[str, ...]:
    """The policy commits that these proxies may be in the middle of, newest first.

    Those of the newest receipts, down to the first by which every one of them had been brought where its commit wanted it,
    or was not in the fleet. A proxy that was away, or refused something, has not been.
    """
    waiting = set(proxies)
    commits: dict[str, None] = {}
    for receipt in islice(record.history(datetime.fromtimestamp(0, UTC)), _COMMITS_BACK):
        commits[receipt.policy_commit] = None
        waiting = {key for key in waiting if key in receipt.proxies and receipt.proxies[key].outcome not in ARRIVED}
        if not waiting:
            break
    return tuple(commits)


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


@dataclass(frozen=True, slots=True)
class _Live:
    """One receipt: when, of which commit, and for which proxies it is live."""

    at: datetime
    commit: str
    proxies: frozenset[Key]


class VerifiedSplits:
    """The splits that receipts show as live. History does not change, so what one receipt showed is worked out once."""

    def __init__(self, repository: Repository, compiler: Compiler) -> None:
        self._repository = repository
        self._compiler = compiler
        self._shown: dict[tuple[str, frozenset[Key]], tuple[Split, ...]] = {}
        self._last = ""
        self._oldest = datetime.max.replace(tzinfo=UTC)
        self._seen: list[_Live] = []

    def since(
        self, record: Record, oldest: datetime, watch: Stopwatch, *, last: Receipt | None = None
    ) -> tuple[Split, ...]:
        """Of the newest commits with a receipt that is not older than this: going back to one of them is never refused.

        A commit may have several: a proxy that it was live on has shown it, though it was away when a later one was written.

        Args:
            record: Where receipts are.
            oldest: Older ones don't count.
            watch: For the time it takes.
            last: The newest receipt, where it is known: while it is the same, the record is not read again.
        """
        live: dict[str, set[Key]] = {}
        for item in self._live(record, oldest, last):
            live.setdefault(item.commit, set()).update(item.proxies)
        wanted = [(commit, frozenset(keys)) for commit, keys in live.items()]
        self._shown = {(commit, keys): self._of(commit, keys, watch) for commit, keys in wanted}
        return tuple(dict.fromkeys(split for shown in self._shown.values() for split in shown))

    def _live(self, record: Record, oldest: datetime, last: Receipt | None) -> list[_Live]:
        """What receipts show, the newest first; read again only when there is another."""
        if last is not None and last.commit == self._last and self._oldest <= oldest:
            return [item for item in self._seen if item.at >= oldest]
        found: list[_Live] = []
        commits: set[str] = set()
        for receipt in record.history(oldest):
            live = frozenset(key for key, entry in receipt.proxies.items() if entry.outcome is OutcomeKind.APPLIED)
            found.append(_Live(receipt.at, receipt.policy_commit, live))
            commits.add(receipt.policy_commit)
            if len(commits) >= _COMMITS_BACK:
                break
        if last is not None:
            self._last, self._oldest, self._seen = last.commit, oldest, found
        return found

    def _of(self, commit: str, live: frozenset[Key], watch: Stopwatch) -> tuple[Split, ...]:
        if (commit, live) in self._shown:
            return self._shown[commit, live]
        try:
            desired = self._compiler.desired(self._repository.tree(commit), watch)
        except ReconcilerError:
            return ()
        found = (splits(desired.views[key]) for key in sorted(live) if key in desired.views)
        return tuple(dict.fromkeys(split for each in found for split in each))


def last_good_branch(
    repository: Repository,
    compiler: Compiler,
    head: str,
    *,
    ref: str,
    watch: Stopwatch,
    trusted: Callable[[str], bool] = everybody,
) -> str:
    """The record branch that the newest usable commit before an unusable head names; the default if there is none."""
    for commit in islice(repository.log(head, first_parent=True), 1, _COMMITS_BACK):
        if not trusted(commit.id):
            continue
        try:
            branch = compiler.desired(repository.tree(commit.id), watch).mesh.settings.record.branch
        except ReconcilerError:
            continue
        if not _same_branch(branch, ref):
            return branch
    return RecordSettings().branch


def _same_branch(branch: str, ref: str) -> bool:
    return branch == ref.removeprefix("refs/heads/")
