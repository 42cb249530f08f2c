"""How every command ends: its exit code, and what went wrong in the form that was asked for."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

import typer

from reconciler.cli.options import Output
from reconciler.errors import BugError, ReconcilerError, TransientError, UsageError

# Click's base class of everything that is wrong with a command line. Typer brings Click under a private name in some versions
# and as a dependency in others; what it exports for sure is a subclass.
_CommandLineError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)  # fmt: skip
_SHELL_OFFSET = 128
_BROKEN_PIPE = 141


class _Signals:
    """SIGINT and SIGTERM as KeyboardInterrupt, while in use. The daemon and the demo put their own handlers in its place.

    Attributes:
        seen: The one that came, or None. Typer swallows the exception in some versions, so it has to be known from here.
    """

    def __init__(self) -> None:
        self.seen: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, plain in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) == plain:  # not one that is ignored on purpose, as under nohup
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.seen = signal.Signals(number)
        raise KeyboardInterrupt


def run_to_the_end(application: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command line; never raises, whoever is to blame."""
    # GitPython looks for git when it is imported, and raises. `gitrepo` says in its own words that there is none.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with _Signals() as signals:
        try:
            code = _run(application, arguments)
        except KeyboardInterrupt:
            code = _SHELL_OFFSET + signal.SIGINT
        except (BrokenPipeError, SystemExit):  # Typer turns the first into the second, and nothing else into it
            _forget_output()
            return _BROKEN_PIPE
        return code if signals.seen is None else _interrupted(signals.seen, arguments)


def _run(application: typer.Typer, arguments: Sequence[str]) -> int:
    try:
        code = application(list(arguments), prog_name="reconcile", standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except _CommandLineError as error:
        return _fail(_usage(error), arguments)
    except ReconcilerError as error:
        return _fail(error, arguments)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 -- the last resort: users get a diagnostic and their JSON, never a traceback
        return _fail(_bug(error), arguments)
    return code if isinstance(code, int) else 0


def _usage(error: Exception) -> UsageError:
    text = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
    return UsageError(text, hint="reconcile --help lists commands and options")


def _bug(error: Exception) -> BugError:
    """What to report: the error, and the innermost place of our own code that it came through."""
    ours = Path(__file__).parent.parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if ours in Path(frame.filename).parents]
    where = f" at {Path(frames[-1].filename).relative_to(ours.parent)}:{frames[-1].lineno}" if frames else ""
    return BugError(f"{type(error).__name__}: {error}{where}")


def _interrupted(number: signal.Signals, arguments: Sequence[str]) -> int:
    """The shell's code for a signal. JSON is a document even now; a person who pressed Ctrl-C needs no words."""
    if _wanted(arguments) is Output.JSON:
        hint = "run it again: a pass starts from Git and the live state, whatever this one had done"
        _fail(TransientError(f"ended by {number.name}", code="interrupted", hint=hint), arguments)
    return _SHELL_OFFSET + number


def _fail(error: ReconcilerError, arguments: Sequence[str]) -> int:
    try:
        from reconciler.cli.output import OutputError, print_errors, say
    except Exception:  # noqa: BLE001 -- an installation that is broken: say what we can with what Python brings
        return _fail_bare(error, arguments)
    try:
        print_errors(error.diagnostics, _wanted(arguments))
    except OutputError as unwritable:
        say((*error.diagnostics, *(item for item in unwritable.diagnostics if item not in error.diagnostics)))
        _forget_output()
    return 1


def _fail_bare(error: ReconcilerError, arguments: Sequence[str]) -> int:
    if _wanted(arguments) is Output.JSON:
        print(json.dumps({"schema_version": 1, "errors": [item.as_json() for item in error.diagnostics]}, indent=2))
    else:
        print(ascii(str(error))[1:-1], file=sys.stderr)
    return 1


def _forget_output() -> None:
    """Let what is left in the buffer of stdout go nowhere: flushing it at exit would fail again, with a traceback."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # no real file behind it, as under a test
        return


def _wanted(arguments: Sequence[str]) -> Output:
    """The `--output` of a command line that could not be parsed to its end."""
    wanted = Output.TEXT
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in {"--output", "-o"}:
            given = value if equals else (arguments[index + 1] if index + 1 < len(arguments) else "")
            wanted = Output(given) if given in set(Output) else wanted
        elif argument.startswith("-o") and argument[2:] in set(Output):
            wanted = Output(argument[2:])
    return wanted
