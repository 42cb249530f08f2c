"""`reconcile validate`: everything that is wrong with a folder of policies, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.options import Output, OutputOption
from reconciler.errors import UsageError


def validate(
    path: Annotated[Path, typer.Argument(help="The root of a policy repository, or a folder of policies.")] = Path(),
    output: OutputOption = Output.TEXT,
) -> int:
    """Check policies without asking Git or any proxy: all errors at once, with their places."""
    import os
    from dataclasses import replace

    from reconciler.cli.folder import policy_folder
    from reconciler.cli.output import print_verdict
    from reconciler.cycle import Compiler
    from reconciler.cycle.report import Stopwatch, silent
    from reconciler.errors import PolicyError, Severity

    if not os.path.isdir(path):  # noqa: PTH112 -- pathlib raises where a folder on the way may not be entered
        raise UsageError(
            f"{path} is not a folder", hint="name a folder of YAML files, or the root of a policy repository"
        )
    folder = policy_folder(path)
    try:
        found = Compiler().desired(folder.tree, Stopwatch(silent)).warnings
    except PolicyError as error:
        found = error.diagnostics
    shown = tuple(replace(item, file=folder.shown(item.file)) for item in found)
    print_verdict(shown, output)
    return 1 if any(item.severity is Severity.ERROR for item in shown) else 0
