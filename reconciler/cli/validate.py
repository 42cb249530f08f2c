"""`reconcile validate`: everything that is wrong with a folder of policies, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.options import Output, OutputOption
from reconciler.errors import UsageError


def validate(
    path: Annotated[Path, typer.Argument(help="The root of a policy repository, or a folder of policies.")] = Path(),
    envoy: Annotated[
        bool, typer.Option("--envoy", help="Show what every proxy would be given to the envoy on this machine too.")
    ] = False,
    expand: Annotated[
        bool, typer.Option("--expand", help="Print every rollout with its steps written out, as documents.")
    ] = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Check policies without asking Git or any proxy: all errors at once, with their places."""
    import os
    from dataclasses import replace

    from reconciler.cli.backstop import asked_of_envoy
    from reconciler.cli.expanding import print_expanded
    from reconciler.cli.folder import policy_folder
    from reconciler.cli.output import print_verdict
    from reconciler.cycle import Compiler
    from reconciler.cycle.report import Stopwatch, silent
    from reconciler.envoy.validation import Validator
    from reconciler.errors import Diagnostic, PolicyError, Severity

    if not os.path.isdir(path):  # noqa: PTH112 -- pathlib raises where a folder on the way may not be entered
        raise UsageError(
            f"{path} is not a folder", hint="name a folder of YAML files, or the root of a policy repository"
        )
    folder = policy_folder(path)
    desired = None
    try:
        desired = Compiler().desired(folder.tree, Stopwatch(silent))
        found = desired.warnings
    except PolicyError as error:
        found = error.diagnostics
    else:
        if envoy:
            found = tuple(sorted((*found, *asked_of_envoy(desired, folder.tree, Validator())), key=Diagnostic.sort_key))
    shown = tuple(replace(item, file=folder.shown(item.file)) for item in found)
    failed = any(item.severity is Severity.ERROR for item in shown)
    if expand and desired is not None and not failed:
        print_expanded(desired.mesh, shown, output)
    else:
        print_verdict(shown, output)
    return 1 if failed else 0
