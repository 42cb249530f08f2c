"""Whose signatures count for a preview. Never those whom the pull request names: what lies in the checkout is read as the base has it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from reconciler.clock import SystemClock
from reconciler.cycle.trust import Trust
from reconciler.gitrepo import Repository, SignersError, read_signers
from reconciler.settings import TrustSettings


@contextmanager
def trusting(settings: TrustSettings, repository: Repository, base: str) -> Iterator[Trust]:
    """What says whose commits count.

    Args:
        settings: As they were given.
        repository: Whose checkout may be of the pull request.
        base: The commit that is merged into, by full id.

    Raises:
        SignersError: What says it can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
        if settings.allowed_signers and (path := _inside(repository, settings.allowed_signers)) is not None:
            content = repository.read(base, path)
            if content is None:
                raise SignersError(
                    f"{path} is in the checkout, where the pull request could change it, and {base[:10]} has no such file",
                    hint="commit the file to the base branch first, or name one outside of the checkout",
                )
            copy = Path(folder) / "signers"
            copy.write_bytes(content)
            settings = replace(settings, allowed_signers=str(copy))
        if settings.keyring and _inside(repository, settings.keyring) is not None:
            raise SignersError(
                f"the keyring {settings.keyring} is in the checkout, where the pull request could change it",
                hint="name a directory outside of the checkout",
            )
        if settings.required:
            read_signers(settings)
        yield Trust(repository, settings, SystemClock())


def _inside(repository: Repository, name: str) -> str | None:
    """The path from the root of the checkout, for what is in it, or is reached through it; None for what is elsewhere."""
    if repository.work_tree is None:
        return None
    top = repository.work_tree.resolve()
    for path in (Path(os.path.abspath(name)), Path(name).resolve()):  # noqa: PTH100 -- links are followed by the second
        for root in (repository.work_tree, top):
            if path.is_relative_to(root):
                return str(path.relative_to(root))
    return None
