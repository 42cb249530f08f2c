"""The pull request of a proposed change, on the forge that `Mesh.record.forge` names. Without one, the branch is all there is."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.clock import Clock
from reconciler.cycle.walking.landing import opened
from reconciler.errors import Diagnostic, ReconcilerError
from reconciler.model.plan import Plan
from reconciler.model.proxy import Forge as ForgeSettings
from reconciler.plan import escape_markdown, render_markdown

_LONGEST = 60_000
_LONGEST_TITLE = 250
_CUT = "\n\n(The plan is cut here.)\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What came of it.

    Attributes:
        url: Where people find it; "" if there is none.
        notes: Why there is none, where there should be one.
    """

    url: str = ""
    notes: tuple[Diagnostic, ...] = ()


class Pulls:
    """Opens pull requests.

    Args:
        clock: For the forge's pace.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, settings: ForgeSettings | None, *, head: str, base: str, message: str, plan: Plan | None) -> Opened:
        """Open one for a branch that has been pushed; never raises for what the forge says, as the branch is there."""
        if settings is None:
            return Opened()
        title, _, rest = message.partition("\n")
        body = escape_markdown(rest.strip())
        if plan is not None:
            body = _cut(f"{body}\n\n{render_markdown(plan)}")
        try:
            forge = opened(settings, clock=self._clock)
            if forge is None:
                return Opened()
            with forge:
                pull = forge.create(head=head, base=base, title=title[:_LONGEST_TITLE], body=body)
        except ReconcilerError as error:
            return Opened(notes=tuple(item.demoted() for item in error.diagnostics))
        return Opened(url=pull.url)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(_CUT)] + _CUT
