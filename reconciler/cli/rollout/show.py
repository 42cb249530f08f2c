"""`reconcile rollout show`: one rollout now, as text, as JSON, as a picture, or again and again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.options import Cache, Output, OutputOption, Ref, Repo, require_text_or_json, settings
from reconciler.cli.rollout.options import NAMESPACE, Name, Namespace, key_of
from reconciler.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.cli.rollout.reading import Reader
    from reconciler.errors import Diagnostic
    from reconciler.model.key import Key


class PlotUnwritableError(PermanentError):
    """The file that a picture was asked for in can't be written."""

    default_code = "plot-unwritable"


def show(
    name: Name,
    *,
    repo: Repo = ".",
    ref: Ref = "main",
    namespace: Namespace = NAMESPACE,
    output: OutputOption = Output.TEXT,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again whenever it changes, until Ctrl-C.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Write a picture of the newest run instead.")
    ] = None,
    cache: Cache = None,
) -> int:
    """Show a rollout: its steps, what was measured, its commits, what happens next and when. Asks only Git."""
    from reconciler.cli.output import print_json, put, say
    from reconciler.cli.rollout.looking import document_of
    from reconciler.cli.rollout.reading import reader
    from reconciler.cli.rollout.watching import watch_rollout
    from reconciler.cli.rollout.words import show_text
    from reconciler.clock import SystemClock

    require_text_or_json(output, "rollout")
    if watch and (plot is not None or output is Output.JSON):
        raise UsageError("--watch shows text again and again", hint="leave --plot and --output json out, or --watch")
    key, clock = key_of(name, namespace), SystemClock()
    with reader(settings(repo=repo, ref=ref, cache=cache)) as git:
        if watch:
            watch_rollout(git, key, clock)
            return 0
        if plot is not None:
            say(_draw(git, key, plot, now=clock.now()))
            return 0
        document, errors = document_of(git, key, now=clock.now())
    if output is Output.JSON:
        print_json(document)
    else:
        say(errors)
        put(show_text(document))
    return 0


def _draw(git: Reader, key: Key, file: Path, *, now: datetime) -> tuple[Diagnostic, ...]:
    """Write the picture of the newest run."""
    from reconciler.cli.rollout.reading import find, seen_of
    from reconciler.rollouts.picture import picture
    from reconciler.rollouts.plot import svg

    point = git.look()
    seen = seen_of(point, find(point.mesh, key))
    drawn = svg(picture(*git.past(seen, point), seen.course, now=now))
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise PlotUnwritableError(f"{file} can't be written: {error.strerror}", hint="name another file") from error
    return point.errors
