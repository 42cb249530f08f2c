"""The record branch: the newest receipt, the ones before it, and writing the next by compare-and-swap."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.gitrepo import CommitInfo, CorruptRepositoryError, RaceLostError, Repository
from reconciler.model.key import Key
from reconciler.model.receipt import ProxyReceipt, Receipt
from reconciler.model.tree import FileKind
from reconciler.record import evidence
from reconciler.record.errors import RecordRewoundError, RecordUnreadableError
from reconciler.record.form import (
    FOLDER,
    OUTCOME,
    PARTIAL,
    PLAN_DIGEST,
    POLICY_COMMIT,
    PROXIES,
    Draft,
    key_of,
    message_of,
    parse_proxy,
    parse_trailers,
    rollout_files,
    unreadable,
)

_POLICY_FOLDERS = ("policies", "envoy-templates")
_KEPT = 10_000
_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

Contents = Mapping[str, bytes | None]
"""By path; None for what is no file."""


class Record:
    """The receipts on one branch. One for each process and branch: it remembers the newest receipt it has seen.

    Args:
        repository: Where the branch is; fetched only after a lost race.
        branch: Its name.
        attempts: How often a receipt is tried again after a lost race.
        sleep: How pauses between attempts are spent, in seconds.
        tip: Read from this commit on, by its full id, instead of from the branch's tip: for a clone that lacks the branch.
    """

    def __init__(
        self,
        repository: Repository,
        branch: str,
        *,
        attempts: int,
        sleep: Callable[[float], None] = time.sleep,
        tip: str = "",
    ) -> None:
        self._repository = repository
        self._branch = branch
        self._attempts = max(1, attempts)
        self._sleep = sleep
        self._fixed = tip
        self._seen: str | None = None
        self._parsed: dict[tuple[str, str], ProxyReceipt] = {}
        self._evidence: dict[tuple[str, str], Mapping[str, Any]] = {}

    def latest(self) -> Receipt | None:
        """The receipt at the tip, or None if there is no record yet.

        A branch that was rewound is read as it is: what a pass does must not depend on it. `write` then objects.

        Raises:
            RecordUnreadableError: The tip is no receipt, or a file in it is broken; names it.
        """
        tip = self._tip()
        if tip is None:
            return None
        if self._continues(tip):
            self._seen = tip
        return self._receipt(self._repository.commit_info(tip))

    def history(self, since: datetime, *, rollouts: bool = False, before: str = "") -> Iterator[Receipt]:
        """The receipts since a time, newest first. Commits that are none, and receipts that somebody broke, are passed over.

        Args:
            since: Older ones are left out.
            rollouts: Read the evidence of rollouts too, which differs in every one of many receipts; else they have none.
            before: Only those below this commit, by its full id; "" for all.

        Raises:
            CorruptRepositoryError: There is no such commit.
        """
        tip = next(iter(self._repository.commit_info(before).parents), None) if before else self._tip()
        if tip is None:
            return
        for info in self._repository.log(tip, since=since, exclude=None, first_parent=True):
            if POLICY_COMMIT in info.trailers:
                try:
                    found = self._receipt(info, rollouts=rollouts)
                except RecordUnreadableError:
                    continue  # `latest` says so while it matters; what was proven before stays proven
                yield found

    def _tip(self) -> str | None:
        return self._fixed or self._repository.branch(self._branch)

    def write(self, draft: Draft, *, at: datetime) -> Receipt | None:
        """Write a receipt on top of the branch, or None if it would say nothing that the tip does not say.

        A lost race is tried again from the new tip, after asking again whether there is something to say. A tip that is no
        receipt of ours, or a broken one, is written over: its commit stays in the history.

        Raises:
            RecordRewoundError: The branch has lost receipts that this process has seen, or is gone. So it stays until the
                branch has them again, or another process begins.
            RaceLostError: Others were faster each time.
            PushRefusedError, DirtyWorkTreeError, GitWriteError, GitUnavailableError, ...: As `Repository.commit`.
            InputError: A name can't be a file's.
        """
        files = draft.files()
        folders = (FOLDER,) if draft.rollouts is None else (FOLDER, evidence.ROLLOUTS)

        def step(tip: str | None) -> tuple[str, dict[str, bytes | None]] | None:
            there = self._files(tip, *folders)
            if tip and not self._says_new(tip, draft, same_files=there == files):
                return None
            return draft.message(), _changes(there, files)

        return self._written(step, at)

    def note(
        self, rollouts: Mapping[Key, Mapping[str, Any]], *, subject: str, policy_commit: str, at: datetime
    ) -> Receipt | None:
        """Write evidence where there is nothing new to say about proxies; None if the tip has just this evidence.

        Such a receipt says of proxies what the one before says: `proxies/` is untouched and the trailers are repeated. Where there
        is none to repeat, or a broken one, it says as little as can be true: `partial`, of no proxy at all and no plan.

        Args:
            rollouts: The evidence of every rollout of the mesh; one that is not here leaves the tree.
            subject: One line.
            policy_commit: Whose policies the evidence is about, full id; used only where there is no receipt to repeat.
            at: The time of the commit.

        Raises:
            RecordRewoundError, RaceLostError, PushRefusedError, ...: As `write`.
            InputError: A rollout's name can't be a file's.
        """
        files = rollout_files(rollouts)

        def step(tip: str | None) -> tuple[str, dict[str, bytes | None]] | None:
            there = self._files(tip, evidence.ROLLOUTS)
            if there == files:
                return None
            changes = _changes(there, files)
            if tip:
                try:
                    info = self._repository.commit_info(tip)
                    said = parse_trailers(info, self._branch)
                    self._proxies(tip)
                except RecordUnreadableError:
                    # Nobody knows what its proxies stand for.
                    changes |= dict.fromkeys(self._files(tip, FOLDER))
                else:
                    return message_of(subject, said, " ".join(info.trailers.get(PROXIES, ())[:1])), changes
            said = {POLICY_COMMIT: policy_commit, PLAN_DIGEST: "", OUTCOME: PARTIAL}
            return message_of(subject, said, "0/0"), changes

        return self._written(step, at)

    def _written(
        self, step: Callable[[str | None], tuple[str, dict[str, bytes | None]] | None], at: datetime
    ) -> Receipt | None:
        """Commit what `step` makes of the tip (message and changed files), again from the new tip after a lost race."""
        attempt = 0
        while True:
            tip = self._repository.branch(self._branch)
            self._require_continued(tip)
            made = step(tip)
            if made is None:
                return None
            message, changes = made
            try:
                new = self._repository.commit(self._branch, expect=tip, files=changes, message=message, at=at)
            except RaceLostError:
                attempt += 1
                if attempt >= self._attempts:
                    raise
                longest = min(_LONGEST_PAUSE, _PAUSE * attempt)
                self._sleep(random.uniform(0, longest))  # noqa: S311 -- writers in step would lose in step
                self._repository.fetch()
                continue
            self._seen = new
            return self._receipt(self._repository.commit_info(new))

    def _says_new(self, tip: str, draft: Draft, *, same_files: bool) -> bool:
        """What a receipt says: the tree, the outcome, and the policy commit as far as its policies differ."""
        if not same_files:
            return True
        try:
            said = parse_trailers(self._repository.commit_info(tip), self._branch)
            return said[OUTCOME] != draft.outcome or not self._repository.same(
                said[POLICY_COMMIT], draft.policy_commit, _POLICY_FOLDERS
            )
        except (RecordUnreadableError, CorruptRepositoryError):  # no receipt, or of a commit that is gone by now
            return True

    def _continues(self, tip: str) -> bool:
        return self._seen is None or tip == self._seen or self._repository.is_ancestor(self._seen, tip)

    def _require_continued(self, tip: str | None) -> None:
        if tip is not None and self._continues(tip):
            self._seen = tip
            return
        if self._seen is None:
            return
        what = f"was rewound to {tip[:12]}" if tip else "is gone"
        target = f"{self._seen}:refs/heads/{self._branch}"
        restore = (
            f"git push . {target}" if not self._repository.is_url else f"git push {self._repository.location} {target}"
        )
        raise RecordRewoundError(
            f"{self._branch} {what}; its newest receipt was {self._seen}",
            hint=f"restore it ({restore}, run in {self._repository.git_dir}), or start again to accept it as it is",
        )

    def _files(self, commit: str | None, *folders: str) -> Contents:
        """What stands below these folders."""
        if commit is None:
            return {}
        tree = self._repository.tree(commit)
        files = [file for folder in folders for file in tree.files(folder)]
        return {file.path: tree.read(file) if file.kind is FileKind.FILE else None for file in files}

    def _receipt(self, info: CommitInfo, *, rollouts: bool = True) -> Receipt:
        trailers = parse_trailers(info, self._branch)
        found, notes = self._rollouts(info.id) if rollouts else ({}, ())
        return Receipt(
            commit=info.id,
            at=info.at.astimezone(UTC),
            subject=info.subject,
            policy_commit=trailers[POLICY_COMMIT],
            plan_digest=trailers[PLAN_DIGEST],
            outcome=trailers[OUTCOME],
            proxies=self._proxies(info.id),
            rollouts=MappingProxyType(found),
            notes=notes,
        )

    def _proxies(self, commit: str) -> Mapping[Key, ProxyReceipt]:
        """Every proxy's file, parsed once for each content."""
        tree = self._repository.tree(commit)
        if len(self._parsed) > _KEPT:
            self._parsed.clear()
        found: dict[Key, ProxyReceipt] = {}
        for file in tree.files(FOLDER):
            key = key_of(file.path)
            if key is None or file.kind is not FileKind.FILE:
                raise unreadable("is no file of a proxy", path=file.path, commit=commit)
            known = self._parsed.get((file.path, file.blob))
            if known is None:
                known = parse_proxy(tree.read(file), path=file.path, commit=commit)
                self._parsed[file.path, file.blob] = known
            found[key] = known
        return MappingProxyType(dict(sorted(found.items())))

    def _rollouts(self, commit: str) -> tuple[dict[Key, Mapping[str, Any]], tuple[Diagnostic, ...]]:
        """Every rollout's evidence, and what could not be read; parsed once while it stays the same."""
        tree = self._repository.tree(commit)
        before, self._evidence = self._evidence, {}
        found: dict[Key, Mapping[str, Any]] = {}
        notes: list[Diagnostic] = []
        for file in tree.files(evidence.ROLLOUTS):
            key = evidence.rollout_of(file.path)
            if key is None or file.kind is not FileKind.FILE:
                notes.append(evidence.broken(file.path, "is no file of a rollout", commit=commit))
                continue
            said: Mapping[str, Any] | Diagnostic | None = before.get((file.path, file.blob))
            if said is None:
                said = evidence.parse(tree.read(file), path=file.path, commit=commit)
            if isinstance(said, Diagnostic):
                notes.append(said)
            else:
                found[key] = self._evidence[file.path, file.blob] = said
        return dict(sorted(found.items())), tuple(notes)


def _changes(there: Contents, wanted: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """What to write and to remove (None)."""
    changed: dict[str, bytes | None] = {path: data for path, data in wanted.items() if there.get(path) != data}
    return changed | dict.fromkeys(path for path in there if path not in wanted)
