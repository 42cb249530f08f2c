from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.cli.options import Output
from reconciler.cli.overview import print_status

NOW = "2026-01-02T00:00:00+00:00"
EVIL = "\x1b[2Jno | <b>such</b>\ncluster"


def row(name: str, daemon: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    recorded = {"outcome": "applied", "proof": "exact", "view": "v", "detail": ""}
    plain = {"proxy": name, "state": "in-sync", "pending": 0, "causes": [], "reason": "", "recorded": recorded}
    return plain | {"daemon": daemon} | fields


def told(at: str | None = NOW, *, connected: bool | None = True, held: int = 0) -> dict[str, Any]:
    refused = [
        {"type": "route", "name": f"{80 + number}", "version": "v", "words": EVIL, "at": NOW} for number in range(held)
    ]
    connection = None if connected is None else {"connected": connected, "held": refused}
    return {"revision": "c" * 40 if at else None, "verified_at": at, "connection": connection}


def document(*proxies: dict[str, Any], daemon: bool = True) -> dict[str, Any]:
    last = {"ended": "2026-01-01T23:59:51+00:00", "reasons": ["connect", "poll"]}
    return {
        "schema_version": 1, "head": "h" * 40, "recorded": None, "proxies": list(proxies), "rollouts": [], "health": {"answered": 0, "silent": [], "services": []}, "refused": [], "errors": [],
        "registries": [], "now": NOW, "held": None,
        "daemon": {"now": NOW, "pid": 7, "reason": "", "pass": last} if daemon else None,
    }  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], what: dict[str, Any], output: Output = Output.TEXT) -> str:
    print_status(what, output)
    return capsys.readouterr().out


def test_without_a_daemon_the_table_stays_as_narrow_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns that nobody can fill are left out."""
    lines = shown(capsys, document(row("default/a"), daemon=False)).splitlines()
    assert lines[-2].split() == ["PROXY", "STATE", "PENDING", "RECORDED", "PROOF", "WHY"]
    assert not any(line.startswith("daemon") for line in lines)


@pytest.mark.parametrize("output", [Output.TEXT, Output.MARKDOWN])
def test_what_holds_changes_stands_above_the_fleet(capsys: pytest.CaptureFixture[str], output: Output) -> None:
    """Whoever wonders why nothing happens reads the first lines; a freeze and a suspension are one line each."""
    words = {"suspended": f"changes are suspended by Ann: {EVIL}", "frozen": "changes are frozen by nights"}
    held = words | {"rollouts": "", "until": None}
    text = shown(capsys, document(row("default/a")) | {"held": held}, output)
    first = [line for line in text.splitlines() if "held" in line]
    assert len(first) == 2
    assert "changes are suspended by Ann" in first[0]
    assert "\x1b" not in text
    assert text.index("nights") < text.index("PROXY")


def test_what_a_daemon_told_has_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Who is connected, and what was verified how long ago; a dash where there is nothing to say."""
    rows = [
        row("default/a", told("2026-01-01T23:59:55+00:00")),
        row("default/b", told("2026-01-01T23:48:00+00:00", connected=False)),
        row("default/c", told("2026-01-01T20:30:00+00:00", connected=None)),
        row("default/d", told("2025-12-30T00:00:00+00:00")),
        row("default/e", told("2026-01-02T00:00:09+00:00")),
        row("default/f", told(None)),
        row("default/g"),
    ]
    lines = shown(capsys, document(*rows)).splitlines()
    assert "daemon    process 7, last pass 9s ago (connect+poll)" in lines
    cells = [line.split()[5:] for line in lines[-7:]]
    assert cells == [
        ["yes", "ccccccc", "5s", "ago"], ["no", "ccccccc", "12m", "ago"], ["-", "ccccccc", "3h", "ago"],
        ["yes", "ccccccc", "3d", "ago"], ["yes", "ccccccc", "0s", "ago"], ["yes", "-"], ["-", "-"],
    ]  # fmt: skip


def test_what_a_proxy_refuses_is_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Envoy's words are shown for what is held, and can steer neither a terminal nor a page."""
    what = document(row("default/a", told(held=3)), row("default/b", told(held=1), reason="no answer"))
    text = shown(capsys, what)
    assert "refuses route 80: \\x1b[2Jno | <b>such</b>\\ncluster (and 2 more)" in text
    assert text.splitlines()[-1].endswith("no answer")
    page = shown(capsys, what, Output.MARKDOWN)
    assert "\x1b" not in page
    assert "<b>" not in page
    assert page.splitlines()[-1].count(" | ") == 7, "a cell can't become two"


def test_json_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts get everything, in its own types."""
    what = document(row("default/a", told(held=1)))
    assert json.loads(shown(capsys, what, Output.JSON)) == what


def test_a_daemon_that_is_not_well_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Old facts must not pass for new ones."""
    what = document()
    what["daemon"] |= {"pass": None, "reason": "the first pass has not ended"}
    assert "process 7, no pass yet: the first pass has not ended" in shown(capsys, what)
    now = what["daemon"]["now"]
    what["daemon"] |= {"reason": "", "git": {"asked": now, "answered": now, "errors": [{"code": "git-unavailable"}]}}
    assert "no pass yet; Git has not answered for 0s (git-unavailable)" in shown(capsys, what)
    what["daemon"]["git"]["answered"] = None
    assert "; Git has not answered yet (git-unavailable)" in shown(capsys, what)
    what["daemon"]["git"]["errors"] = []
    assert "Git has not" not in shown(capsys, what)


ROLLOUT = {
    "name": "reviews", "namespace": "default", "phase": "Paused", "step": 1, "steps": 4, "weight": 5.0, "verified": True,
    "reason": "Pat\x1b[2J moved | the weight", "waiting": "",
    "next": {"words": "waits for a person", "due": None, "seconds": 0, "verb": "resume"},
}  # fmt: skip


@pytest.mark.parametrize("output", [Output.TEXT, Output.MARKDOWN])
def test_rollouts_are_shown_below_the_fleet(capsys: pytest.CaptureFixture[str], output: Output) -> None:
    """Who asks for the fleet's status learns what walks in it, in words that steer no terminal and break no table."""
    text = shown(capsys, document(row("default/edge")) | {"rollouts": [ROLLOUT]}, output)
    (line,) = [line for line in text.splitlines() if "reviews" in line]
    assert "Paused" in line
    assert "5%" in line
    assert "\x1b" not in line
    assert text.index("default/edge") < text.index("reviews")
    assert "ROLLOUT" not in shown(capsys, document(row("default/edge")), output)


def registries(**fields: Any) -> list[dict[str, Any]]:
    since = "2026-01-01T23:48:00+00:00"
    held = [{"host": EVIL, "had": 4, "has": 0, "since": since, "until": NOW}]
    plain = {
        "registry": "k8s", "kind": "kubernetes", "state": "stale", "heard": since, "since": since, "services": 2,
        "instances": 9, "problem": {"message": EVIL}, "held": held, "flapping": [EVIL],
    }  # fmt: skip
    return [plain | fields]


@pytest.mark.parametrize("daemon", [True, False])
def test_a_registry_is_a_line_that_says_since_when_it_does_not_answer(
    capsys: pytest.CaptureFixture[str], *, daemon: bool
) -> None:
    """At a glance, with what is held and what flaps; and no word of it steers the terminal."""
    text = shown(capsys, document(row("default/a"), daemon=daemon) | {"registries": registries()})
    lines = text.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("REGISTRY"))
    assert lines[at + 1].startswith("k8s       kubernetes  stale for 12m  2         9          ")
    assert lines[at + 2].endswith("the others stay in use until 2026-01-02 00:00:00 UTC")
    assert lines[at + 3].endswith("comes and goes, and is left out")
    assert text.replace("\n", "").isprintable()
    marked = shown(capsys, document(row("default/a"), daemon=daemon) | {"registries": registries()}, Output.MARKDOWN)
    assert "| k8s | kubernetes | stale for 12m | 2 | 9 |" in marked
    assert "<b>" not in marked


def test_without_registries_nothing_is_said_of_any(capsys: pytest.CaptureFixture[str]) -> None:
    """Most meshes have none."""
    assert "REGISTRY" not in shown(capsys, document(row("default/a")))
    live = registries(state="live", problem=None, held=[], flapping=[])
    assert shown(capsys, document(row("default/a")) | {"registries": live}).rstrip().endswith("live   2         9")
