"""Whether the key that our own commits are signed with is one that counts: by a commit that nobody gets to see."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from reconciler.gitrepo.command import run
from reconciler.gitrepo.graft import EMPTY_TREE, Grafted
from reconciler.gitrepo.signatures import Signature, Verdict, verify
from reconciler.gitrepo.signers import Signers
from reconciler.gitrepo.writing import write_commit
from reconciler.settings import GitSettings


def own_signature(git_dir: Path, settings: GitSettings, signers: Signers, *, at: datetime) -> Signature:
    """Sign a commit of nothing as all our commits are signed, and judge it. It lies in a folder of its own and goes with it.

    Raises:
        SigningError: It can't be signed.
        GitWriteError: There is no room for it.
    """
    if settings.signing is None:
        return Signature(verdict=Verdict.UNSIGNED)
    with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
        there = {"GIT_OBJECT_DIRECTORY": folder, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(git_dir / "objects")}
        commit = write_commit(
            git_dir,
            settings,
            Grafted(EMPTY_TREE, (), added=(), paths=()),
            parent=None,
            message="Who signs?\n",
            at=at.astimezone(UTC),
            extra=there,
        )
        data = run([f"--git-dir={git_dir}", "cat-file", "commit", commit], extra=there).out
        return verify(git_dir, commit, data, signers, extra=there)
