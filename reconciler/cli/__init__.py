"""The command line: one file per verb; the only room that prints."""

from __future__ import annotations

from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Nothing is loaded before it is known what is asked."""
    from reconciler.cli.app import main

    return main(arguments)
