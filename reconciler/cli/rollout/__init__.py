"""`reconcile rollout`: reading rollouts from Git, and asking them to go on, wait or end; one file for each group of verbs."""

from __future__ import annotations

import typer

from reconciler.cli.rollout import asking, history, listing, show


def application() -> typer.Typer:
    """The verbs below `reconcile rollout`."""
    app = typer.Typer(
        name="rollout",
        no_args_is_help=False,
        add_completion=False,
        rich_markup_mode=None,
        help="Canaries in steps: where they stand, how they came there, and what people ask of them.",
    )
    app.command("list")(listing.listing)
    app.command("show")(show.show)
    app.command("history")(history.history)
    for verb in asking.VERBS:
        app.command(verb.__name__)(verb)
    return app
