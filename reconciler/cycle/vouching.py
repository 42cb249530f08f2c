"""What signatures mean to a pull request: which of its commits acknowledge nothing, and whether its head could be what the branch is.

Here nobody has merged anything yet. What has to be signed after the merge is the commit that merging makes, which a forge makes and
signs with a key of its own, or whoever merges by hand; of a head that nobody who may has signed, only the trailers are lost. In a
merge queue it is otherwise: there the head is that commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from reconciler.cycle.history import ALLOW_TRAILER
from reconciler.cycle.trust import Trust
from reconciler.errors import Diagnostic, Severity
from reconciler.gitrepo import Repository
from reconciler.plan import shorten

_SHOWN = 20
"""Commits without a signature that counts, of those that acknowledge something, that are named."""

_LONG = 200
_HINT = (
    "sign it: git commit --amend -S. After the merge it is the merge that has to be signed, by whoever makes it: a forge signs with "
    "a key of its own, which counts if it is among the signers"
)


def unvouched(repository: Repository, trust: Trust, base: str, head: str) -> tuple[Diagnostic, ...]:
    """Warnings: the head if nobody who may has signed it, then every other such commit that acknowledges a guard for nothing.

    Args:
        repository: Has both, and their histories back to where they parted.
        trust: Says who may.
        base: What is merged into, by full id.
        head: What is merged, by full id.
    """
    return tuple(islice(_unvouched(repository, trust, base, head), _SHOWN)) if trust.required else ()


def _unvouched(repository: Repository, trust: Trust, base: str, head: str) -> Iterator[Diagnostic]:
    for commit in repository.log(head, exclude=base):
        trailers = commit.trailers.get(ALLOW_TRAILER, ())
        if not trailers and commit.id != head:
            continue
        lost = (
            f"its {ALLOW_TRAILER}: {shorten(', '.join(trailers), _LONG)} does not count"
            if trailers
            else "its trailers would not count"
        )
        also = "; neither would it as the head of the branch" if commit.id == head else ""
        for found in trust.findings(commit.id, so=f"{lost}{also}"):
            yield replace(found, severity=Severity.WARNING, hint=_HINT)
