"""What the daemon of a repository says, if there is one, for the verbs that can do without.

A daemon that was named on purpose has to answer; one that is only found, and can't be asked, is a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.cli.control import identity, sockets
from reconciler.cli.remote import DaemonNotFoundError
from reconciler.errors import Diagnostic, ReconcilerError, UsageError
from reconciler.gitrepo import Repository

Told = tuple[dict[str, Any] | None, tuple[Diagnostic, ...]]
"""What it says, if anything; and why it could not be asked, as warnings."""


def told(repository: Repository, ref: str, named: Path | None, ask: Callable[[Path], dict[str, Any]]) -> Told:
    """Ask.

    Args:
        repository: Whose daemon.
        ref: The branch that it serves.
        named: Its socket, if somebody named it.
        ask: What is asked of whoever listens on a socket.

    Raises:
        ReconcilerError: A daemon that was named on purpose can't be asked.
    """
    if named is not None:
        document = ask(named)
        if document.get("repository") != identity(repository) or document.get("ref") != ref:
            raise UsageError(
                f"the daemon on {named} serves {document.get('ref')} of {document.get('repository')}",
                hint="name that repository and branch with --repo and --ref",
            )
        return document, ()
    try:
        for path in sockets(repository, ref):
            try:
                return ask(path), ()
            except DaemonNotFoundError:
                continue
    except ReconcilerError as error:
        return None, tuple(item.demoted() for item in error.diagnostics)
    return None, ()
