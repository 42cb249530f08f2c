"""One command line that gets a signal at a given stage of its pass: `ended.py SIGNAL STAGE ARGUMENT...`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli import run, session
from reconciler.cycle.report import Progress, Stage


def main(number: signal.Signals, moment: str, arguments: list[str]) -> int:
    @contextmanager
    def watcher(_: object) -> Iterator[Progress]:
        def progress(stage: Stage, _detail: str) -> None:
            if stage == moment:
                os.kill(os.getpid(), number)

        yield progress

    vars(session)["watcher"] = watcher
    return run(arguments)


sys.exit(main(signal.Signals[sys.argv[1]], sys.argv[2], sys.argv[3:]))
