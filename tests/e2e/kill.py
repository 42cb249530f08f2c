"""One pass, or a daemon in one of its passes, that ends by SIGKILL: `kill.py pass|daemon REPO MOMENT`, as a process.

A moment is a stage of the pass, or the number of a write to the proxy's directory, or `committed`: after the receipt.
"""

from __future__ import annotations

import os
import signal
import sys

from reconciler.cli import run
from reconciler.cli import session as session_module
from reconciler.cli.options import settings
from reconciler.cli.progress import Line
from reconciler.cli.session import Session
from reconciler.cycle import Ask
from reconciler.cycle.report import Stage


def main(what: str, repo: str, moment: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    class Deadly(Line):
        def __call__(self, stage: Stage, detail: str) -> None:
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
    if what == "daemon":
        vars(session_module)["Line"] = Deadly
        run(["daemon", "--repo", repo, "--interval", "100ms"])
        return
    with Session(settings(repo=repo, ref="main"), quiet=True) as session:
        session.progress = Deadly()
        session.reconciler().run(Ask(allow=frozenset({"guard-delete-percent"})))
    if moment == "committed":
        die()


main(*sys.argv[1:])
