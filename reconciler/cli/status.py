"""`reconcile status`: every proxy, what it should run, what it runs, and what was last recorded of it.

Where a daemon listens, what only it knows is added: who is connected, what was acknowledged, refused and verified, and when.
Without one, or with one that does not answer, the rest is shown all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.cli.options import (
    AdminCa,
    AdminCert,
    AdminKey,
    AdminTimeout,
    Cache,
    KnownDaemon,
    Output,
    OutputOption,
    Ref,
    Repo,
    settings,
)
from reconciler.model.key import Key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.cli.session import Session
    from reconciler.cli.standing import Standing
    from reconciler.cycle import Report
    from reconciler.gitrepo import Repository
    from reconciler.model.plan import ProxyPlan
    from reconciler.model.receipt import Receipt


def status(
    *,
    repo: Repo = ".",
    ref: Ref = "main",
    output: OutputOption = Output.TEXT,
    daemon: KnownDaemon = None,
    admin_timeout: AdminTimeout = "5s",
    admin_cert: AdminCert = "",
    admin_key: AdminKey = "",
    admin_ca: AdminCa = "",
    cache: Cache = None,
) -> int:
    """Show the fleet: revisions, drift, and who could not be reached. Touches nothing."""
    from reconciler.cli.output import say
    from reconciler.cli.overview import print_status
    from reconciler.cli.remote import status_there
    from reconciler.cli.session import Session
    from reconciler.cli.standing import by_word, has_no_admin, with_words
    from reconciler.cli.telling import told
    from reconciler.cycle import Ask

    chosen = settings(
        repo=repo, ref=ref, admin_timeout=admin_timeout, cache=cache,
        admin_cert=admin_cert, admin_key=admin_key, admin_ca=admin_ca,
    )  # fmt: skip
    with Session(chosen) as session:
        said, doubts = told(session.repository, ref, daemon, status_there)
        report = session.reconciler().run(Ask(ref=ref, dry_run=True, last_good=True))
        rollouts, held = _planned(session.repository, ref)
        known = {item["proxy"]: item for item in said["proxies"]} if said is not None else {}
        health = _health(session, report, known)
        registries = _registries(session, said)
    say(doubts)
    standings = {
        str(item.proxy): by_word(known.get(str(item.proxy)), applied=report.applied)
        for item in (report.plan.proxies if report.plan else ())
        if has_no_admin(item)
    }
    document = _document(report, report.last, said, standings)
    more = {
        "held": held, "registries": registries, "health": health, "rollouts": rollouts,
        "now": session.clock.now().isoformat(),
    }  # fmt: skip
    print_status(document | more, output)
    return with_words(report, standings).exit_code()


def _registries(session: Session, told: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """How registries stand: as the daemon knows them, for that is what proxies have; without one as this process found them."""
    from reconciler.cli.registries import registry_document

    if told is not None and "registries" in told:
        known: list[dict[str, Any]] = told["registries"]
        return known
    return [registry_document(item) for item in session.discovery.present.standings]


def _health(session: Session, report: Report, known: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """How callers see the instances of services: asked of every proxy that could be read, and of those that only the daemon knows."""
    from reconciler.cli.wellbeing import wellbeing
    from reconciler.envoy import hosts_seen

    planned = report.plan.proxies if report.plan else ()
    addresses = {Key.parse(name): str(item["admin"]) for name, item in known.items() if item.get("admin")}
    addresses |= {key: admin.address for key, admin in session.fleet.admins().items()}
    unread = {item.proxy: item.error for item in planned if item.error is not None and item.proxy in addresses}
    seen = hosts_seen({key: address for key, address in addresses.items() if key not in unread}, session.settings.admin)
    return wellbeing(seen, unread)


def _planned(repository: Repository, ref: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Every rollout, as `rollout list` has it, and what holds changes; none where Git can't tell, of which the pass has said why."""
    from reconciler.cli.holding import held_document
    from reconciler.cli.rollout.documents import listed
    from reconciler.cli.rollout.reading import seen_of
    from reconciler.clock import SystemClock
    from reconciler.cycle.past import Past
    from reconciler.errors import ReconcilerError

    try:
        point = Past(repository, ref).standpoint()
    except ReconcilerError:
        return [], None
    now = SystemClock().now()
    rows: list[dict[str, Any]] = listed(point, [seen_of(point, item) for item in point.mesh.rollouts], now=now)[
        "rollouts"
    ]
    return rows, held_document(point.mesh, now)


def _document(
    report: Report, last: Receipt | None, told: dict[str, Any] | None, standings: Mapping[str, Standing]
) -> dict[str, Any]:
    plan = report.plan
    known = {item["proxy"]: item for item in told["proxies"]} if told is not None else {}
    planned = plan.proxies if plan else ()
    here = {str(item.proxy) for item in planned}
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
        "daemon": None
        if told is None
        else {name: value for name, value in told.items() if name not in _NOT_THE_DAEMONS},
        "proxies": [
            *(
                _proxy(item, last, known.get(str(item.proxy)), standings.get(str(item.proxy)) or _seen(item))
                for item in planned
            ),
            *(_announced(item, last) for name, item in known.items() if name not in here),
        ],
        "refused": [item.as_json() for item in plan.refused] if plan else [],
        "errors": [item.as_json() for item in report.errors],
    }


_NOT_THE_DAEMONS = frozenset({"schema_version", "proxies", "registries", "held"})


def _seen(item: ProxyPlan) -> Standing:
    """A proxy as its admin endpoint shows it."""
    from reconciler.cli.standing import Standing

    if item.error is not None:
        return Standing("unreachable", reason=item.error.message)
    if not item.changes:
        return Standing("in-sync")
    return Standing("drifted" if _causes(item) == ["drift"] else "behind", len(item.changes))


def _causes(item: ProxyPlan) -> list[str]:
    return sorted({str(change.cause) for change in item.changes})


def _proxy(
    item: ProxyPlan, last: Receipt | None, told: dict[str, Any] | None, standing: Standing
) -> dict[str, Any]:  # fmt: skip
    return {
        "proxy": str(item.proxy),
        "state": standing.state,
        "pending": standing.pending,
        "causes": _causes(item),
        "reason": standing.reason,
        "by_word": standing.by_word,
        "recorded": _recorded(item.proxy, last),
        "daemon": _without_name(told),
    }


def _announced(told: dict[str, Any], last: Receipt | None) -> dict[str, Any]:
    """A proxy that only the daemon knows: it announced itself. What it should have was compared by the daemon's last pass."""
    outcome = told.get("outcome")
    return {
        "proxy": told["proxy"],
        "state": "in-sync" if outcome == "applied" else str(outcome or "announced"),
        "pending": int(told.get("pending") or 0),
        "causes": [],
        "reason": "" if outcome == "applied" else str(told.get("detail") or ""),
        "by_word": told.get("proof") == "acked",
        "recorded": _recorded(Key.parse(told["proxy"]), last),
        "daemon": _without_name(told),
    }


def _recorded(key: Key, last: Receipt | None) -> dict[str, Any] | None:
    entry = last.proxies.get(key) if last else None
    if entry is None:
        return None
    return {"outcome": str(entry.outcome), "proof": entry.proof, "view": entry.view, "detail": entry.detail}


def _without_name(told: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if told is None else {name: value for name, value in told.items() if name != "proxy"}
