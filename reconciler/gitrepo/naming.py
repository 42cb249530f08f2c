"""Which names branches can have, and which of them are for proposals. Pure."""

from __future__ import annotations

import re

from reconciler.gitrepo.errors import BranchNameError

PROPOSALS = "reconciler/rollout/"
"""What the names of branches begin with that `Repository.propose` may move by force: those of rollouts' steps."""
EDITS = "reconciler/propose/"
"""Likewise: those of changes that somebody asked for over HTTP."""

_BAD_BRANCH = re.compile(r"^$|^[-/]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|\.$|^@$|^HEAD$|(^|/)\.|\.lock(/|$)")


def require_branch(name: str) -> None:
    """The rules of git-check-ref-format for the name of a branch.

    Raises:
        BranchNameError: No branch can have this name.
    """
    if _BAD_BRANCH.search(name):
        raise BranchNameError(f"{name!r} can't be the name of a branch", hint="see git help check-ref-format")


def require_proposal(name: str) -> None:
    """Only these may be moved by force.

    Raises:
        BranchNameError: No branch can have this name.
        ValueError: The branch is none for proposals.
    """
    require_branch(name)
    if not name.startswith((PROPOSALS, EDITS)):
        raise ValueError(f"{name} is no branch for proposals: these begin with {PROPOSALS} or {EDITS}")
