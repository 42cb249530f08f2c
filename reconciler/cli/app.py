"""The verbs: which file answers to which word."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from reconciler.cli import (
    bootstrap,
    ci,
    daemon,
    demo_verb,
    importing,
    render,
    rollout,
    root,
    services,
    status,
    suspend,
    tokens,
    validate,
)
from reconciler.cli.endings import run_to_the_end


def main(arguments: Sequence[str]) -> int:
    """Run one command line; never raises, whoever is to blame."""
    return run_to_the_end(_application(), arguments)


def _application() -> typer.Typer:
    app = typer.Typer(
        name="reconcile",
        add_completion=False,
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(root.reconcile)
    app.command("daemon")(daemon.daemon)
    app.command("validate")(validate.validate)
    app.command("render")(render.render)
    app.command("bootstrap")(bootstrap.bootstrap)
    app.command("status")(status.status)
    app.command("services")(services.services)
    app.command("suspend")(suspend.suspend)
    app.command("resume")(suspend.resume)
    app.add_typer(rollout.application())
    app.add_typer(importing.application())
    app.add_typer(ci.application())
    app.add_typer(tokens.application())
    app.command("demo")(demo_verb.demo)
    return app
