"""What to know of registries before relying on what they list: warnings of a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.errors import Diagnostic, Severity
from reconciler.model.discovered import Held, Knowledge, Standing
from reconciler.plan.words import count


def doubts(standings: Iterable[Standing]) -> Iterator[Diagnostic]:
    """Registries that don't answer, what of an answer can't be used, and losses that are not believed yet.

    The words stay the same for as long as it is the same, so that a log has them once.
    """
    for item in standings:
        if item.knowledge is not Knowledge.LIVE:
            yield _unanswered(item)
        elif item.problem is not None:
            yield item.problem.demoted()
        for held in item.held:
            yield _held(item.registry, held)


def _unanswered(item: Standing) -> Diagnostic:
    """Also of one that has not failed yet: a pass has waited for it, and goes on without it."""
    used = "what it listed last is in use" if item.knowledge is Knowledge.STALE else "nothing is known of what it lists"
    why = (
        f"does not answer, and {used}: {item.problem.message}" if item.problem else f"has not answered yet, and {used}"
    )
    return Diagnostic(
        code=f"discovery-{item.knowledge}",
        message=f"registry {item.registry} {why}",
        hint=item.problem.hint if item.problem else "see whether it is overloaded, or cut off from here",
        severity=Severity.WARNING,
    )


def _held(registry: str, held: Held) -> Diagnostic:
    what = f"of {held.host}" if held.host else "altogether"
    return Diagnostic(
        code="discovery-held",
        message=f"registry {registry} lists {count(held.has, 'instance')} {what} where it listed {held.had}; the others stay in use"
        f" until {held.until:%Y-%m-%d %H:%M:%S} UTC",
        hint="see that they are gone on purpose; `protection` of the registry in Mesh.discovery says what is doubted",
        severity=Severity.WARNING,
    )
