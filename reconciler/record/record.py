"""The record branch: the newest receipt, the ones before it, and writing the next by compare-and-swap."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from reconciler.gitrepo import CommitInfo, CorruptRepositoryError, RaceLostError, Repository
from reconciler.model.key import Key
from reconciler.model.receipt import ProxyReceipt, Receipt
from reconciler.model.tree import FileKind
from reconciler.record.errors import RecordRewoundError, RecordUnreadableError
from reconciler.record.form import (
    FOLDER,
    POLICY_COMMIT,
    Draft,
    key_of,
    parse_proxy,
    parse_trailers,
    unreadable,
)

_POLICY_FOLDERS = ("policies", "envoy-templates")
_KEPT = 10_000
_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


class Record:
    """The receipts on one branch. One for each process and branch: it remembers the newest receipt it has seen.

    Args:
        repository: Where the branch is; fetched only after a lost race.
        branch: Its name.
        attempts: How often a receipt is tried again after a lost race.
        sleep: How pauses between attempts are spent, in seconds.
    """

    def __init__(
        self, repository: Repository, branch: str, *, attempts: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._repository = repository
        self._branch = branch
        self._attempts = max(1, attempts)
        self._sleep = sleep
        self._seen: str | None = None
        self._parsed: dict[tuple[str, str], ProxyReceipt] = {}

    def latest(self) -> Receipt | None:
        """The receipt at the tip, or None if there is no record yet.

        A branch that was rewound is read as it is: what a pass does must not depend on it. `write` then objects.

        Raises:
            RecordUnreadableError: The tip is no receipt, or a file in it is broken; names it.
        """
        tip = self._repository.branch(self._branch)
        if tip is None:
            return None
        if self._continues(tip):
            self._seen = tip
        return self._receipt(self._repository.commit_info(tip))

    def history(self, since: datetime) -> Iterator[Receipt]:
        """The receipts since a time, newest first. Commits that are none, and receipts that somebody broke, are passed over."""
        tip = self._repository.branch(self._branch)
        if tip is None:
            return
        for info in self._repository.log(tip, since=since, exclude=None, first_parent=True):
            if POLICY_COMMIT in info.trailers:
                try:
                    found = self._receipt(info)
                except RecordUnreadableError:
                    continue  # `latest` says so while it matters; what was proven before stays proven
                yield found

    def write(self, draft: Draft, *, at: datetime) -> Receipt | None:
        """Write a receipt on top of the branch, or None if it would say nothing that the tip does not say.

        A lost race is tried again from the new tip, after asking again whether there is something to say. A tip that is no
        receipt of ours, or a broken one, is written over: its commit stays in the history.

        Raises:
            RecordRewoundError: The branch has lost receipts that this process has seen, or is gone. So it stays until the
                branch has them again, or another process begins.
            RaceLostError: Others were faster each time.
            PushRefusedError, DirtyWorkTreeError, GitWriteError, GitUnavailableError, ...: As `Repository.commit`.
            InputError: A proxy's name can't be a file's.
        """
        attempt = 0
        while True:
            tip = self._repository.branch(self._branch)
            self._require_continued(tip)
            files = draft.files()
            there = self._files(tip) if tip else {}
            if tip and not self._says_new(tip, draft, same_files=there == files):
                return None
            changes = {path: content for path, content in files.items() if there.get(path) != content}
            gone = dict.fromkeys(path for path in there if path not in files)
            try:
                new = self._repository.commit(
                    self._branch, expect=tip, files={**changes, **gone}, message=draft.message(), at=at
                )
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
            return said["Outcome"] != draft.outcome or not self._repository.same(
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

    def _files(self, commit: str) -> dict[str, bytes | None]:
        """Content by path below `proxies/`; None for what is no file."""
        tree = self._repository.tree(commit)
        return {file.path: tree.read(file) if file.kind is FileKind.FILE else None for file in tree.files(FOLDER)}

    def _receipt(self, info: CommitInfo) -> Receipt:
        trailers = parse_trailers(info, self._branch)
        return Receipt(
            commit=info.id,
            at=info.at.astimezone(UTC),
            subject=info.subject,
            policy_commit=trailers[POLICY_COMMIT],
            plan_digest=trailers["Plan-Digest"],
            outcome=trailers["Outcome"],
            proxies=self._proxies(info.id),
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
