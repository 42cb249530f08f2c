"""One pass that ends by SIGKILL at a given moment: `kill.py REPO MOMENT`, in a process of its own.

A moment is a stage of the pass, or the number of a write to the proxy's directory, or `committed`: after the receipt.
"""

from __future__ import annotations

import os
import signal
import sys

from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.cycle import Ask
from reconciler.cycle.report import Stage


def main(repo: str, moment: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def progress(stage: Stage, detail: str) -> None:
        if moment in {str(stage), f"{stage}:{detail}"}:
            die()

    if moment.startswith("rename-"):
        left = int(moment.removeprefix("rename-"))

        def count(event: str, _: object) -> None:
            nonlocal left
            if event == "os.rename":
                left -= 1
                if left == 0:
                    die()

        sys.addaudithook(count)
    with Session(settings(repo=repo, ref="main"), quiet=True) as session:
        session.progress = progress
        session.reconciler().run(Ask(allow=frozenset({"guard-delete-percent"})))
    if moment == "committed":
        die()


main(*sys.argv[1:])
