"""How proxies without an admin endpoint stand, for `reconcile status`: what they have is what the daemon that serves them says.

Pure. Their own word is all the proof there is (`acked`), so it is shown apart from what an admin endpoint proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.cycle import Report
from reconciler.model.plan import ProxyPlan

_NO_ADMIN = "ads-disconnected"
"""What a process without streams finds of a proxy without an admin endpoint."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a proxy now.

    Attributes:
        state: As in the table.
        pending: Changes that it lacks.
        reason: Why it does not stand as it should.
        by_word: Whether this is the proxy's own word, and nobody else's.
    """

    state: str
    pending: int = 0
    reason: str = ""
    by_word: bool = False

    @property
    def known(self) -> bool:
        """Whether anybody could say."""
        return self.state not in {"unknown", "unreachable"}


def has_no_admin(item: ProxyPlan) -> bool:
    """Whether only a daemon can say anything of a proxy."""
    return item.error is not None and item.error.code == _NO_ADMIN


def by_word(told: Mapping[str, Any] | None, *, applied: str) -> Standing:
    """A proxy without an admin endpoint.

    Args:
        told: The daemon's entry of it; None if there is no daemon, or none that knows it.
        applied: The commit that it should have.
    """
    if told is None:
        return Standing("unknown", reason="it has no admin endpoint, and no daemon says what it has")
    if not (told.get("connection") or {}).get("connected"):
        return Standing("unreachable", reason="its ADS stream is not connected")
    outcome, pending = told.get("outcome"), int(told.get("pending") or 0)
    if outcome == "applied":
        revision = str(told.get("revision") or "")
        if revision == applied:
            return Standing("in-sync", by_word=True)
        return Standing("behind", pending, f"the daemon's last pass over it was for {revision[:10]}", by_word=True)
    if outcome in {None, "unreachable"}:  # it came after the pass
        return Standing("behind", pending, "it is connected, and no pass has brought it anywhere yet", by_word=True)
    return Standing(str(outcome), pending, str(told.get("detail") or ""), by_word=True)


def with_words(report: Report, standings: Mapping[str, Standing]) -> Report:
    """The report, for its exit code: who stands by a daemon's word has been asked."""
    if report.plan is None:
        return report
    proxies = tuple(
        replace(item, error=None) if str(item.proxy) in standings and standings[str(item.proxy)].known else item
        for item in report.plan.proxies
    )
    return replace(report, plan=replace(report.plan, proxies=proxies))
