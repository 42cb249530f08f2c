"""`reconcile ci`: what continuous integration runs for a pull request. Each line of logic is here, none in workflow files."""

from __future__ import annotations

import typer

from reconciler.cli.ci import comment, preview


def application() -> typer.Typer:
    """The verbs below `reconcile ci`."""
    app = typer.Typer(
        name="ci",
        no_args_is_help=False,
        add_completion=False,
        rich_markup_mode=None,
        help="Previews of pull requests: what merging one would change, and telling its reviewers.",
    )
    app.command("preview")(preview.preview)
    app.command("comment")(comment.comment)
    return app
