"""The verbs, and what every one of them has in common: errors in the form that was asked for, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from reconciler.cli.options import Output
from reconciler.errors import ReconcilerError, UsageError

# Click's base class of everything that is wrong with a command line. Typer brings Click under a private name in some versions
# and as a dependency in others; what it exports for sure is a subclass.
_CommandLineError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)  # fmt: skip
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(arguments: Sequence[str]) -> int:
    """Run one command line; never raises for anything that a user can cause."""
    try:
        code = _application()(list(arguments), prog_name="reconcile", standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except _CommandLineError as error:
        return _fail(_usage(error), arguments)
    except ReconcilerError as error:
        return _fail(error, arguments)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return _BROKEN_PIPE
    return code if isinstance(code, int) else 0


def _application() -> typer.Typer:
    from reconciler.cli import bootstrap, daemon, demo_verb, render, root, status, validate

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
    app.command("demo")(demo_verb.demo)
    return app


def _usage(error: Exception) -> UsageError:
    text = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
    return UsageError(text, hint="reconcile --help lists commands and options")


def _fail(error: ReconcilerError, arguments: Sequence[str]) -> int:
    from reconciler.cli.output import print_errors

    print_errors(error.diagnostics, _wanted(arguments))
    return 1


def _wanted(arguments: Sequence[str]) -> Output:
    """The `--output` of a command line that could not be parsed to its end."""
    wanted = Output.TEXT
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in {"--output", "-o"}:
            given = value if equals else (arguments[index + 1] if index + 1 < len(arguments) else "")
            wanted = Output(given) if given in set(Output) else wanted
    return wanted
