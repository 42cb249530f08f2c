"""`reconcile` and `python -m reconciler`: the only place where the process exits."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from reconciler.cli import run  # noqa: PLC0415 -- nothing is imported before it is known what is asked

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
