"""The pull request of a proposed change, on the forge that `Mesh.record.forge` names. Without one, the branch is all there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconciler.clock import Clock
from reconciler.errors import Diagnostic, ReconcilerError
from reconciler.forge import Beside, GitHub
from reconciler.model.plan import Plan
from reconciler.model.proxy import Forge as ForgeSettings
from reconciler.plan import escape_markdown, render_markdown

_PATIENCE = 10.0
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
        patience: Seconds that a forge is waited for.
    """

    def __init__(self, clock: Clock, *, patience: float = _PATIENCE) -> None:
        self._clock = clock
        self._patience = patience

    def open(self, settings: ForgeSettings | None, *, head: str, base: str, message: str, plan: Plan | None) -> Opened:
        """Open one for a branch that has been pushed; never raises for what the forge says, as the branch is there."""
        if settings is None or settings.github is None:
            return Opened()
        said = settings.github
        title, _, rest = message.partition("\n")
        body = escape_markdown(rest.strip())
        if plan is not None:
            body = _cut(f"{body}\n\n{render_markdown(plan)}")
        try:
            with GitHub(said.repository, token_file=Path(said.token_file), api=said.api, clock=self._clock) as forge:
                asked = Beside(forge, clock=self._clock, patience=self._patience)
                pull = asked.create(head=head, base=base, title=title[:_LONGEST_TITLE], body=body)
        except ReconcilerError as error:
            return Opened(notes=tuple(item.demoted() for item in error.diagnostics))
        return Opened(url=pull.url)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(_CUT)] + _CUT
