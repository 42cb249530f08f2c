"""`reconcile validate --expand`: the steps of every rollout, written out; no file is touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconciler.cli.options import Output
from reconciler.cli.output import print_verdict, put, say

if TYPE_CHECKING:
    from reconciler.errors import Diagnostic
    from reconciler.model.mesh import Mesh


def print_expanded(mesh: Mesh, found: Sequence[Diagnostic], output: Output) -> None:
    """The rollouts of a valid mesh: as YAML, as a list under `rollouts` of the verdict, or as a block below it.

    In text the verdict goes to stderr, so that stdout is YAML and nothing else.
    """
    from reconciler.rollouts.written import written_out
    from reconciler.yamldoc import dump

    documents = [document for policy in mesh.rollouts for document in written_out(policy)]
    if output is Output.JSON:
        print_verdict(found, output, rollouts=documents)
        return
    text = "---\n".join(dump(document) for document in documents)
    if output is Output.MARKDOWN:
        print_verdict(found, output)
        if text:
            put(f"```yaml\n{text}```")
        return
    say(found)
    if text:
        put(text, end="")
