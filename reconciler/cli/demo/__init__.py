"""`reconcile demo`: the whole product on this machine, with real Envoys, real Git and real traffic, in about a minute.

Bottom up: `ports`, `interrupts` and `wire` know nothing of the product; `bookinfo` (a child process) and `backends` are the
applications, `traffic` their users; `example` moves the shipped policies to free ports; `clone` is the person at the
keyboard, `receipts` and `walk` what they read in Git; `stage` puts all of it on its feet and takes it down again; `screen`
shows, `witness` checks, `scenes` and `canaries` tell the story. Tests and
benchmarks stand on the same stage. Nothing here is used by the product itself.
"""

from __future__ import annotations


def run(*, keep: bool = False) -> int:
    """Show everything once, checking each claim that is made.

    Args:
        keep: Leave it all running after the last scene, until Ctrl-C.

    Returns:
        0, or 1 if a claim did not hold or something broke (the text says what), or 128 plus the signal that ended it.
    """
    from reconciler.cli.demo.show import show

    return show(keep=keep)
