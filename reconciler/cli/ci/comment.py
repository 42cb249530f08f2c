"""`reconcile ci comment`: say on the forge what a preview came to, from the files that `reconcile ci preview` wrote.

May run with rights that the job which computed has not (GitHub's `workflow_run`), so nothing that those files say is believed to be
more than text: which pull request, which commit and which addresses are meant is asked of the forge and its event.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.options import Output, OutputOption


def comment(
    *,
    folder: Annotated[Path, typer.Option("--from", metavar="DIR", help="What `reconcile ci preview --out` wrote.")],
    key: Annotated[
        str, typer.Option("--key", help="One comment for each; for repositories with several previews.")
    ] = "preview",
    context: Annotated[
        str, typer.Option("--context", help="Name of the commit status and of the check run.")
    ] = "reconcile/preview",
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="Holds the token; by default GITHUB_TOKEN or GITLAB_TOKEN does."
        ),
    ] = None,
    forge: Annotated[
        str, typer.Option("--forge", metavar="github|gitlab", help="By default what the CI system says.")
    ] = "",
    repository: Annotated[
        str, typer.Option("--repository", metavar="OWNER/NAME", help="By default what the CI system says.")
    ] = "",
    api: Annotated[str, typer.Option("--api", metavar="URL", help="By default what the CI system says.")] = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Update the comment, the commit status and the check run of a pull request. Also when there is no preview: then that is said.

    Exit codes: 1 the forge could not be told, 0 otherwise, whatever the preview came to.
    """
    import os

    from reconciler.cli.ci.environment import event_of
    from reconciler.cli.ci.posting import Names, post
    from reconciler.cli.ci.received import occasion
    from reconciler.cli.ci.telling import show_told
    from reconciler.cli.ci.token import forge_settings
    from reconciler.clock import SystemClock
    from reconciler.forge import conversation

    meant = occasion(os.environ, event_of(os.environ), repository=repository)
    with forge_settings(
        os.environ, kind=forge or meant.kind, repository=repository or meant.repository, api=api, token_file=token_file
    ) as settings:
        talk = conversation(settings, clock=SystemClock(), patience=_PATIENCE)
        try:
            told = post(talk, meant, folder, Names(key=key, context=context))
        finally:
            talk.close()
    show_told(told, output)
    return 0


_PATIENCE = 120.0
"""Seconds for which a forge that does not answer, or wants us to wait, is asked again."""
