"""The whole show from the first line to the exit code: sets the stage, lets `scenes` play, and takes everything down.

Every way in which it can end is here: well, with a claim that did not hold, with a failure, or by Ctrl-C.
"""

from __future__ import annotations

import subprocess
import time

from reconciler.cli.demo.commands import DaemonExitedError
from reconciler.cli.demo.interrupts import Interrupted
from reconciler.cli.demo.scenes import Play
from reconciler.cli.demo.screen import Screen
from reconciler.cli.demo.stage import Stage
from reconciler.envoy.binary import find_envoy
from reconciler.errors import ReconcilerError

_SIGNAL_OFFSET = 128


def show(*, keep: bool = False, screen: Screen | None = None) -> int:
    """See `reconciler.cli.demo.run`; tests pass their own screen."""
    screen = screen or Screen()
    begin = time.monotonic()
    try:
        find_envoy()
        holds = _play(screen, keep=keep)
    except Interrupted as interrupted:
        screen.farewell("Interrupted. Everything that was started has ended, and nothing is left behind.")
        return 0 if keep else _SIGNAL_OFFSET + interrupted.signum
    except (ReconcilerError, OSError, subprocess.TimeoutExpired) as error:
        screen.fault(str(error))
        return 1
    if holds:
        screen.farewell(f"All of it was real, in {time.monotonic() - begin:.0f} seconds, and nothing is left behind.")
    return 0 if holds else 1


def _play(screen: Screen, *, keep: bool) -> bool:
    """Whether everything held; if not, the screen has said what did not."""
    screen.title(
        "reconcile demo", "a Git repository, real Envoys, live traffic; all of it private, and gone at the end"
    )
    with Stage() as stage:
        play = Play(stage, screen)
        try:
            play.run(keep=keep)
        except (ReconcilerError, OSError, subprocess.TimeoutExpired) as error:
            screen.fault(str(error))
            if not isinstance(error, DaemonExitedError):  # which has said it
                screen.say("The daemon's log ends:")
                screen.quote(play.log_tail())
            return False
    return True
