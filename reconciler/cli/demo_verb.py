"""`reconcile demo`: the whole product on this machine, in about a minute."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running after the last scene, until Ctrl-C.")
    ] = False,
) -> int:
    """Show a canary end to end: a Git repository, real Envoys, live traffic. Needs only 127.0.0.1 and free ports."""
    from reconciler.cli.demo import run

    return run(keep=keep)
