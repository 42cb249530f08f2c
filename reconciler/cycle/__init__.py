"""One pass: the table of contents of the product.

`Reconciler.run` goes through the stages in order: checkout, load, discover, compile, observe, plan, guard, push, verify,
record. Each is one call into the room that knows how; what travels between them are the frozen values of `model`.
"""

from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.discovering import Discovery, Inventory
from reconciler.cycle.fleet import Fleet
from reconciler.cycle.merging import MergePreview, Placer, preview_merge
from reconciler.cycle.passes import Reconciler
from reconciler.cycle.preview import preview
from reconciler.cycle.report import Report, Stage, silent
from reconciler.cycle.targets import NEEDS_DAEMON
from reconciler.cycle.trust import Trust, UntrustedError

__all__ = [
    "NEEDS_DAEMON",
    "Ask",
    "Compiler",
    "Desired",
    "Discovery",
    "Fleet",
    "Inventory",
    "MergePreview",
    "Placer",
    "Reconciler",
    "Report",
    "Stage",
    "Trust",
    "UntrustedError",
    "preview",
    "preview_merge",
    "silent",
]
