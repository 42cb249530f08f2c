"""`reconcile status`: every proxy, what it should run, what it runs, and what was last recorded of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.cli.options import (
    AdminCa,
    AdminCert,
    AdminKey,
    AdminTimeout,
    Cache,
    Output,
    OutputOption,
    Ref,
    Repo,
    settings,
)

if TYPE_CHECKING:
    from reconciler.cycle import Report
    from reconciler.model.plan import ProxyPlan
    from reconciler.model.receipt import Receipt


def status(
    repo: Repo = ".",
    ref: Ref = "main",
    output: OutputOption = Output.TEXT,
    admin_timeout: AdminTimeout = "5s",
    admin_cert: AdminCert = "",
    admin_key: AdminKey = "",
    admin_ca: AdminCa = "",
    cache: Cache = None,
) -> int:
    """Show the fleet: revisions, drift, and who could not be reached. Touches nothing."""
    from reconciler.cli.output import print_status
    from reconciler.cli.session import Session
    from reconciler.cycle import Ask

    chosen = settings(
        repo=repo, ref=ref, admin_timeout=admin_timeout, cache=cache,
        admin_cert=admin_cert, admin_key=admin_key, admin_ca=admin_ca,
    )  # fmt: skip
    with Session(chosen) as session:
        report = session.reconciler().run(Ask(ref=ref, dry_run=True, last_good=True))
        print_status(_document(report, report.last), output)
    return report.exit_code()


def _document(report: Report, last: Receipt | None) -> dict[str, Any]:
    plan = report.plan
    return {
        "schema_version": 1,
        "head": report.head,
        "recorded": None
        if last is None
        else {
            "commit": last.commit,
            "at": last.at.isoformat(),
            "policy_commit": last.policy_commit,
            "outcome": last.outcome,
            "subject": last.subject,
        },
        "proxies": [_proxy(item, last) for item in plan.proxies] if plan else [],
        "refused": [item.as_json() for item in plan.refused] if plan else [],
        "errors": [item.as_json() for item in report.errors],
    }


def _proxy(item: ProxyPlan, last: Receipt | None) -> dict[str, Any]:
    entry = last.proxies.get(item.proxy) if last else None
    causes = sorted({str(change.cause) for change in item.changes})
    if item.error is not None:
        state = "unreachable"
    elif not item.changes:
        state = "in-sync"
    else:
        state = "drifted" if causes == ["drift"] else "behind"
    return {
        "proxy": str(item.proxy),
        "state": state,
        "pending": len(item.changes),
        "causes": causes,
        "reason": item.error.message if item.error else "",
        "recorded": None
        if entry is None
        else {"outcome": str(entry.outcome), "proof": entry.proof, "view": entry.view, "detail": entry.detail},
    }
