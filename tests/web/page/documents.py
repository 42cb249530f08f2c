"""What a daemon says, as documents: a fleet of any size, with trouble in it, and a canary on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOW = "2026-03-01T12:00:00+00:00"
BEFORE = "2026-03-01T11:58:30+00:00"
HEAD, APPLIED, RECEIPT = "a1" * 20, "b2" * 20, "c3" * 20
HOST = "reviews.default.svc.cluster.local"

Document = dict[str, Any]


def message(code: str, words: str, **fields: Any) -> Document:
    return {"code": code, "severity": "error", "message": words, "hint": "look at it", **fields}


def proxy(number: int, **fields: Any) -> Document:
    return {
        "proxy": f"default/reviews-{number:02}", "outcome": "applied", "proof": "exact", "pending": 0, "detail": "",
        "revision": HEAD, "verified_at": BEFORE, "admin": f"unix:///run/envoy/reviews-{number:02}/admin.sock",
        "connection": {
            "connected": True, "since": BEFORE, "peer": "127.0.0.1:1", "client": "envoy/1.40.0", "variant": "delta",
            "commit": HEAD, "settled": True, "blocked": 0.0, "acked": {"cluster": "1" * 32, "listener": "2" * 32},
            "waiting": [], "held": [], "resources_sent": 20, "bytes_sent": 12345, "streams": 1,
        },
    } | fields  # fmt: skip


def status(proxies: int = 6) -> Document:
    members = [proxy(number) for number in range(proxies)]
    members[1] |= {"outcome": "rejected", "detail": "no such cluster: details", "pending": 2}
    members[2] |= {"outcome": "drifted", "pending": 1}
    return {
        "schema_version": 1, "version": "1.2.3", "repository": "/srv/policies.git", "ref": "main", "pid": 1,
        "started": BEFORE, "now": NOW, "ready": True, "reason": "",
        "held": {"suspended": "changes are suspended by Ada: incident 7", "frozen": "changes are frozen by nights", "rollouts": "",
                 "until": None},
        "pass": {
            "ended": BEFORE, "reasons": ["poll"], "head": HEAD, "applied": APPLIED, "exit_code": 1, "receipt": None,
            "refused": [], "errors": [message("yaml-syntax", "can't be read", file="policies/a.yaml", line=3, column=9)],
            "seconds": {"plan": 0.1},
        },
        "proxies": members,
        "registries": [
            {"registry": "consul", "kind": "consul", "state": "silent", "heard": BEFORE, "since": BEFORE, "services": 4,
             "instances": 9, "held": [], "flapping": [], "problem": message("registry-silent", "does not answer")},
        ],
    }  # fmt: skip


def traffic() -> Document:
    def subset(name: str, requests: float, percent: float) -> Document:
        return {"subset": name, "total": 1000, "requests": requests, "errors": 0.0, "percent": percent}

    reviews = {
        "from": {"kind": "service", "name": "productpage.default.svc.cluster.local"}, "to": HOST, "ports": [9080],
        "proxies": 1, "total": 2000, "requests": 100.0, "errors": 0.5,
        "subsets": [subset("v1", 76.0, 76.0), subset("v2", 24.0, 24.0)],
        "routes": [{"route": "primary", "shares": [{"subset": "v1", "percent": 75.0}, {"subset": "v2", "percent": 25.0}]}],
    }  # fmt: skip
    pages = reviews | {
        "from": {"kind": "proxy", "name": "default/edge"}, "to": "productpage.default.svc.cluster.local",
        "subsets": [subset("", 100.0, 100.0)], "routes": [],
    }  # fmt: skip
    back = reviews | {
        "from": {"kind": "service", "name": HOST},
        "to": "productpage.default.svc.cluster.local",
        "subsets": [],
        "routes": [],
    }
    counts = {
        "namespace": "default",
        "location": "MESH_INTERNAL",
        "ports": [9080],
        "instances": 3,
        "healthy": 2,
        "unhealthy": 1,
        "draining": 0,
    }
    return {
        "schema_version": 1, "at": NOW, "commit": HEAD, "measured": True,
        "services": [{"host": host, **counts} for host in ("productpage.default.svc.cluster.local", HOST)],
        "edges": [pages, reviews, back], "silent": [{"proxy": "default/away", "words": "does not answer"}],
        "left_out": {"services": 0, "edges": 0, "proxies": 3},
    }  # fmt: skip


def row(**fields: Any) -> Document:
    return {
        "name": "reviews", "namespace": "default", "run": "v1->v2", "phase": "Progressing", "step": 1, "steps": 4,
        "weight": 25.0, "verified": True, "verified_at": BEFORE, "reason": "", "waiting": "waits for a person",
        "next": {"words": "a person has to promote it", "due": None, "seconds": None, "verb": "promote"},
    } | fields  # fmt: skip


def rollouts() -> Document:
    return {
        "schema_version": 1,
        "head": HEAD,
        "commit": HEAD,
        "rollouts": [row(), row(name="ratings", phase="Aborted", reason="aborted: errors")],
        "errors": [],
    }


def rollout(**fields: Any) -> Document:
    points = [[BEFORE, 5.0], ["2026-03-01T11:59:00+00:00", 25.0]]
    metric = {
        "name": "golden-signals/request-success-rate", "label": "success rate", "unit": "%", "value": 99.5, "outcome": "pass",
        "detail": "success rate 99.5% >= 95% (200 requests)", "waiting": "", "passed": 3, "failed": 0, "inconclusive": 0,
        "errors": 0, "count": None, "min": 95.0, "max": None, "failure_limit": 0, "inconclusive_limit": 0,
        "consecutive_error_limit": 4, "min_requests": 10, "canary_requests": 0, "stable_requests": 0, "comparison": None,
    }  # fmt: skip
    words = ["setWeight 25", "pause until promoted", "setWeight 100", "pause 10m"]
    states = ["done", "current", "to-come", "to-come"]
    detail = {
        "stable": "v1", "canary": "v2", "target": "reviews",
        "plan": [{"step": at, "words": said, "state": state} for at, (said, state) in enumerate(zip(words, states, strict=True))],
        "evidence": {
            "commit": RECEIPT, "at": BEFORE, "subject": "live", "policy_commit": HEAD, "applied": 6, "proxies": 6,
            "entered": BEFORE, "verified": BEFORE, "note": "", "pausing": "", "aborted": None,
        },
        "analyses": [{"id": "background", "started": BEFORE, "passed": False, "metrics": [metric]}],
        "commits": [{"at": BEFORE, "branch": "main", "commit": HEAD, "by": "Ada", "subject": "canary(reviews): v2 5% -> 25%"}],
        "curve": {
            "start": BEFORE, "end": NOW, "weight": points, "percentile": 99.0,
            "success": {"canary": points, "stable": [], "limit": 95.0}, "duration": {"canary": points, "stable": points, "limit": None},
            "moments": [{"at": BEFORE, "mark": "step", "label": "1", "words": "step 1 begins"}, {"at": NOW, "mark": "held", "label": "paused", "words": "paused by a person"}],
        },
    }  # fmt: skip
    return {"schema_version": 1, "head": HEAD, "commit": HEAD, "rollout": row() | detail | fields, "errors": []}


def entry(commit: str, subject: str, *, branch: str = "policy", kind: str = "change", **trailers: str) -> Document:
    return {
        "branch": branch,
        "kind": kind,
        "commit": commit,
        "parents": [],
        "at": BEFORE,
        "by": "Ada",
        "subject": subject,
        "trailers": trailers,
    }


def timeline(*, before: str = "") -> Document:
    if before:
        return {"schema_version": 1, "entries": [entry("d4" * 20, "The very first")], "next": None}
    entries = [
        entry(RECEIPT, "reviews v2 live on 6/6 proxies", branch="record", kind="receipt", Proxies="6/6"),
        entry(HEAD, "canary(reviews): v2 5% -> 25%", kind="step"),
        entry(APPLIED, "Let reviews have a second version"),
    ]
    return {"schema_version": 1, "entries": entries, "next": f"{'d4' * 20}.-"}


def commit(name: str) -> Document:
    text = "@@ -1,2 +1,2 @@\n kind: VirtualService\n-      weight: 5\n+      weight: 25\n"
    files = [
        {"path": "policies/routes.yaml", "action": "update", "text": text},
        {"path": "policies/big.yaml", "action": "create", "text": ""},
    ]
    return entry(name, "canary(reviews): v2 5% -> 25%", kind="step") | {
        "schema_version": 1,
        "body": "Why.\n\nRollout: default/reviews",
        "cut": False,
        "files": files,
        "more": 2,
    }


def plan() -> Document:
    fields = [
        {"path": "virtual_hosts[reviews].routes[primary].weight", "old": 25, "new": 90},
        {"path": "timeout", "old": None, "new": "5s"},
    ]
    change = {"type": "route", "name": "9080", "action": "update", "cause": "change", "fields": fields, "more": 1}
    outcome = {"kind": "rejected", "proof": "none", "detail": "no such cluster", "pushed": True}
    member = {"reachable": True, "changes": [change], "outcome": outcome, "more": 0}
    return {
        "schema_version": 1, "at": BEFORE, "head": HEAD, "applied": APPLIED, "digest": "e" * 64,
        "summary": {"create": 0, "update": 2, "delete": 0, "unchanged": 30, "unreachable": 1}, "state": "refused",
        "proxies": [
            {"proxy": "default/reviews-00", **member}, {"proxy": "default/reviews-01", **member},
            {"proxy": "default/away", "reachable": False, "changes": [], "outcome": None, "more": 4},
        ],
        "refused": [message("guard-weight", "v2 would move up by 65 points")],
        "acknowledge": [{"code": "guard-weight", "trailer": "Reconcile-Allow: guard-weight", "command": "reconcile --allow guard-weight"}],
        "errors": [], "warnings": [message("weights-sum", "weights add up to 115", severity="warning")], "again": None,
    }  # fmt: skip


def changed(document: Any, words: Mapping[str, str]) -> Any:
    """The same with other texts in the place of free ones, by field; whatever the shape."""
    if isinstance(document, dict):
        return {
            name: words[name] if name in words and isinstance(value, str) else changed(value, words)
            for name, value in document.items()
        }
    return [changed(item, words) for item in document] if isinstance(document, list) else document
