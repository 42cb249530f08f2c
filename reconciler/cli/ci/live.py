"""Asking a running daemon what merging would change on the live fleet, which only it can see."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from reconciler.cli.options import Output
from reconciler.cli.remote import DaemonReplyError, Place, run_there, status_there, wish
from reconciler.errors import Diagnostic, ReconcilerError, Severity
from reconciler.plan.review import Remark, Review, Verdict
from reconciler.plan.words import count, listed

_SHOWN = 5
_PATIENCE = 120.0
"""Seconds for a pass of a daemon's, and for those before it: a job that waits for longer is ended, and then there is no preview at all."""


def with_live(review: Review, daemon: Place, *, ref: str, allow: Iterable[str]) -> Review:
    """The preview with what a daemon says that the merge would change on the live fleet; where it says nothing, why.

    What its guards refuse counts as much as what ours do: they see what is live.

    Args:
        review: A usable one; others are left as they are.
        daemon: Where it listens. It serves the base branch, and its repository has the head.
        ref: The base branch; "" for whatever it serves.
        allow: Guard codes that the commits acknowledge.
    """
    if not review.verdict.usable:
        return review
    try:
        document = _asked(review, daemon, ref, allow)
        refused = tuple(Remark(diagnostic=_diagnostic(item)) for item in document["refused"])
        down = [str(item["proxy"]) for item in document["proxies"] if not item["reachable"]]
        words = _words(document["summary"], down)
    except ReconcilerError as error:
        return replace(
            review, remarks=(*review.remarks, *(Remark(diagnostic=_unasked(item)) for item in error.diagnostics))
        )
    except (KeyError, TypeError, ValueError) as error:
        odd = DaemonReplyError(f"what listens on {daemon} does not answer as a daemon of this version: {error!r}")
        return replace(review, remarks=(*review.remarks, Remark(diagnostic=_unasked(odd.diagnostics[0]))))
    known = {item.diagnostic.message for item in review.refused}
    more = tuple(item for item in refused if item.diagnostic.message not in known)
    verdict = Verdict.REFUSED if more else review.verdict
    return replace(review, verdict=verdict, refused=(*review.refused, *more), live=words)


def without_live(review: Review, why: str) -> Review:
    """The preview with a warning that the live fleet is not in it, because nobody was asked."""
    said = Diagnostic(
        code="ci-live-not-asked", message=why, hint="nothing has to be done; the daemon judges what is merged"
    )
    return (
        replace(review, remarks=(*review.remarks, Remark(diagnostic=_unasked(said))))
        if review.verdict.usable
        else review
    )


def _asked(review: Review, daemon: Place, ref: str, allow: Iterable[str]) -> dict[str, Any]:
    served = ref or status_there(daemon)["ref"]
    out, _, _ = run_there(
        daemon,
        wish(
            repository="",
            ref=served,
            dry_run=True,
            select=[],
            allow=allow,
            plan_digest="",
            output=Output.JSON,
            color=False,
            exit_code=False,
            merge=review.head,
        ),
        patience=_PATIENCE,
    )
    document = json.loads(out)
    fatal = [_diagnostic(item) for item in document["errors"]] if not document["proxies"] else []
    if fatal:
        raise ReconcilerError(diagnostics=fatal)
    return dict(document)


def _words(summary: dict[str, int], down: list[str]) -> str:
    numbers = f"{summary['create']} to create, {summary['update']} to update, {summary['delete']} to delete"
    away = f"; {count(len(down), 'proxy')} could not be asked: {listed(down, _SHOWN)}" if down else ""
    return f"{numbers}{away}"


def _diagnostic(item: dict[str, Any]) -> Diagnostic:
    return Diagnostic(**item | {"severity": Severity(item["severity"])})


def _unasked(item: Diagnostic) -> Diagnostic:
    return replace(item, severity=Severity.WARNING, message=f"the live fleet is not in this preview: {item.message}")
