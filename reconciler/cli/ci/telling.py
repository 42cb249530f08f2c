"""What `reconcile ci comment` leaves in the log of its job."""

from __future__ import annotations

from dataclasses import asdict

from reconciler.cli.ci.posting import Told
from reconciler.cli.options import Output
from reconciler.cli.output import print_json, put
from reconciler.plan.words import visible


def show_told(told: Told, output: Output) -> None:
    """Print what was said."""
    if output is Output.JSON:
        comments = [{"number": number, "written": written} for number, written in told.comments]
        print_json({"schema_version": 1} | asdict(told) | {"comments": comments, "doubts": list(told.doubts)})
        return
    lines = [f"Preview of {told.head[:10]}: {told.verdict}", *(f"not used: {visible(words)}" for words in told.doubts)]
    lines += [f"comment on {number}: {written}" for number, written in told.comments] or [
        "no pull request to comment on"
    ]
    lines += [f"status: {told.status}", f"check: {told.check}, {told.annotations} annotations"]
    put("\n".join(lines))
