"""`reconcile` and `python -m reconciler`: the only place where the process exits."""

from __future__ import annotations

import io
import os
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        _standard_streams()
        from reconciler.cli import run  # noqa: PLC0415 -- nothing is imported before it is known what is asked

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were being loaded
        code = _INTERRUPTED
    sys.exit(code)


def _standard_streams() -> None:
    """Make stdout and stderr take whatever is written to them.

    A stream that is closed (`>&-`) would give its number to the next file that is opened, a lock or a policy, and be None in
    Python. One whose encoding lacks a character shows it escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = os.O_RDONLY if number == 0 else os.O_WRONLY
            os.open(os.devnull, mode)  # takes the lowest free number, which is this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
