"""Both branches in one order of time, newest first, a page at a time. Reads Git, and writes nothing.

A page is named by the commits that it begins with, one for each branch, so that pages stay what they are while branches grow, and
each costs the same however long the history is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import InputError
from reconciler.gitrepo import CommitInfo, Patch, Repository
from reconciler.record.form import POLICY_COMMIT
from reconciler.rollouts.messages import DECISION

POLICY_FOLDERS = ("policies", "envoy-templates")
_PROXIES, _ROLLOUTS = RECORD_FOLDERS = ("proxies", "rollouts")
_END = "-"
_CURSOR = re.compile(r"([0-9a-f]{40}|-)\.([0-9a-f]{40}|-)")
_ID = re.compile(r"[0-9a-f]{40}")


class Kind(StrEnum):
    """What a commit is.

    STEP: one of a rollout. CHANGE: any other of the policy branch. RECEIPT: what was live. EVIDENCE: a receipt that only notes what was
    measured. OTHER: on the record branch, and no receipt.
    """

    STEP = "step"
    CHANGE = "change"
    RECEIPT = "receipt"
    EVIDENCE = "evidence"
    OTHER = "other"


class CursorError(InputError):
    """A page is asked for by a name that no page has."""

    default_code = "timeline-cursor"


class UnknownCommitError(InputError):
    """A commit is asked for that is on neither branch."""

    default_code = "commit-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One commit of either branch.

    Attributes:
        recorded: Whether it is on the record branch.
        noted: Whether it changes only what is recorded of rollouts.
    """

    info: CommitInfo
    recorded: bool
    noted: bool = False

    @property
    def kind(self) -> Kind:
        """What it is, by its trailers: a hint for readers, since anybody may write one."""
        if self.recorded:
            receipt = Kind.EVIDENCE if self.noted else Kind.RECEIPT
            return receipt if POLICY_COMMIT in self.info.trailers else Kind.OTHER
        return Kind.STEP if DECISION in self.info.trailers else Kind.CHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some entries.

    Attributes:
        entries: Newest first.
        following: Names the next page; "" after the last.
    """

    entries: tuple[Entry, ...]
    following: str


class Chronology:
    """The history of a policy branch and of its record.

    Args:
        repository: Fetched by whoever wants it newer.
        ref: The policy branch.
    """

    def __init__(self, repository: Repository, ref: str) -> None:
        self._repository = repository
        self._ref = ref

    def page(self, record: str, *, before: str, limit: int) -> Page:
        """Some of what happened.

        Args:
            record: The record branch.
            before: As `following` of another page; "" for the newest.
            limit: How many entries at most.

        Raises:
            CursorError: There is no such page.
            ReconcilerError: Git can't be read.
        """
        tips = self._tips(record)
        policy, receipts = tips if not before else self._named(before, tips)
        ahead = [
            _Ahead(self._log(policy, limit), recorded=False),
            _Ahead(self._log(receipts, limit), recorded=True),
        ]
        entries: list[Entry] = []
        while len(entries) < limit:
            waiting = [item for item in ahead if item.next is not None]
            if not waiting:
                break
            # In one second the receipt came after the commit that it is about.
            newest = max(waiting, key=lambda item: (item.time, item.recorded))
            entries.append(self._entry(newest.take(), recorded=newest.recorded))
        following = ".".join(item.next.id if item.next is not None else _END for item in ahead)
        return Page(entries=tuple(entries), following="" if following == f"{_END}.{_END}" else following)

    def commit(self, commit: str, record: str) -> tuple[Entry, Patch]:
        """One commit that is on one of the branches, and what it changed of policies or of the record.

        Raises:
            UnknownCommitError: It is on neither.
            ReconcilerError: Git can't be read.
        """
        tips = self._tips(record)
        for tip, folders, recorded in ((tips[0], POLICY_FOLDERS, False), (tips[1], RECORD_FOLDERS, True)):
            if tip and _ID.fullmatch(commit) and self._repository.is_ancestor(commit, tip):
                info = self._repository.commit_info(commit)
                return self._entry(info, recorded=recorded), self._repository.patch(commit, folders)
        raise UnknownCommitError(
            f"{commit[:60]!r} is no commit of {self._ref} or {record}", hint="write the whole id, as the timeline does"
        )

    def _entry(self, info: CommitInfo, *, recorded: bool) -> Entry:
        parent = info.parents[0] if recorded and info.parents else None
        noted = (
            parent is not None
            and self._repository.same(info.id, parent, (_PROXIES,))
            and not self._repository.same(info.id, parent, (_ROLLOUTS,))
        )
        return Entry(info=info, recorded=recorded, noted=noted)

    def _tips(self, record: str) -> tuple[str, str]:
        return self._repository.resolve(self._ref), self._repository.branch(record) or ""

    def _named(self, before: str, tips: tuple[str, str]) -> tuple[str, str]:
        """Where a page begins; only at what the branches contain, since other branches are nobody's business here."""
        found = _CURSOR.fullmatch(before)
        policy, receipts = (part if part != _END else "" for part in found.groups()) if found else ("", "")
        begins = [(start, tip) for start, tip in zip((policy, receipts), tips, strict=True) if start]
        if not begins or not all(tip and self._repository.is_ancestor(start, tip) for start, tip in begins):
            raise CursorError("there is no such page of the timeline", hint="leave `before` out for the newest page")
        return policy, receipts

    def _log(self, start: str, limit: int) -> Iterator[CommitInfo]:
        if not start:
            return iter(())
        # One more than can be taken: the page after this one is named by it.
        return self._repository.log(start, first_parent=True, limit=limit + 1)


class _Ahead:
    """The next of one branch's commits."""

    def __init__(self, log: Iterator[CommitInfo], *, recorded: bool) -> None:
        self._log = log
        self.recorded = recorded
        self.next = next(log, None)

    @property
    def time(self) -> float:
        return self.next.at.timestamp() if self.next is not None else 0.0

    def take(self) -> CommitInfo:
        assert self.next is not None  # noqa: S101 -- asked only of those that have one
        taken, self.next = self.next, next(self._log, None)
        return taken
