"""Configuration that passes every check of ours and that Envoy refuses, with words that would do harm on a screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.cycle.report import Stage
from reconciler.envoy.binary import EnvoyProcess
from reconciler.model.receipt import OutcomeKind
from reconciler.settings import shipped
from tests.e2e.rig import Rig
from tests.e2e.test_daemon import daemon

TEMPLATE = "envoy-templates/http-connection-manager.yaml"
EVIL = "nope\\e[2J\\nERROR | `x` <b>bold</b> @everyone #1"
"""As a YAML text in double quotes."""
FILTERS = re.compile("^http_filters:.*\n", re.MULTILINE)


def poison(name: str) -> dict[str, str]:
    """Our default with a filter that Envoy doesn't have."""
    text = (shipped("envoy-templates") / "http-connection-manager.yaml").read_text()
    odd = f'- name: "{name}"\n  typed_config: {{"@type": type.googleapis.com/google.protobuf.Empty}}\n'
    first = FILTERS.search(text)
    assert first is not None
    return {TEMPLATE: text[: first.end()] + odd + text[first.end() :]}


@pytest.fixture
def poisoned(rig: Rig) -> Rig:
    rig.apply()
    rig.commit({**poison(EVIL), **rig.routes(70, 30)}, "A filter that does not exist\x1b[2J, and v2 at 30%")
    return rig


def test_what_envoy_refuses_is_that_proxys_outcome_in_envoys_words(poisoned: Rig) -> None:
    """Exit 4, rejected, traffic goes on; a second pass says it again without a second receipt; the next commit heals."""
    rig = poisoned
    ran = rig.command("--output", "json")
    assert ran.code == 4, ran.out
    (outcome,) = ran.json()["outcomes"]
    assert outcome["outcome"] == "rejected"
    assert "registered implementation for 'nope" in outcome["detail"]
    rig.share_is(0, requests=100)
    assert "Outcome: partial" in rig.record()
    assert "outcome: rejected" in rig.recorded("edge")
    count = len(rig.receipts())
    assert rig.run().exit_code() == 4
    assert len(rig.receipts()) == count
    rig.envoys["edge"].stop()
    rig.start("edge")
    rig.share_is(0, requests=100)
    rig.commit({TEMPLATE: None}, "Without it")
    rig.apply()
    rig.share_is(30)
    assert "outcome: applied" in rig.recorded("edge")


@pytest.mark.long
def test_hostile_words_reach_no_terminal_and_no_comment(poisoned: Rig) -> None:
    """Envoy repeats what stood in a template: in text it is escaped, in Markdown it is no markup, in JSON it is JSON."""
    rig = poisoned
    rig.command()
    for verb in ([], ["status"]):
        text = rig.command(*verb)
        assert "'nope\\x1b[2J" in text.out, text.out
        assert "\x1b" not in text.out + text.err
        assert "\nERROR" not in text.out + text.err
        markdown = rig.command(*verb, "--output", "markdown")
        assert "nope" in markdown.out
        prose = re.sub(r"(?s)^```text$.*?^```$", "", markdown.out, flags=re.MULTILINE)  # code is nobody's markup
        assert not [mark for mark in ("\x1b", "\nERROR", "<b>", "@everyone", "#1 ", "`x`") if mark in prose], prose
        found = rig.command(*verb, "--output", "json")
        assert "\x1b" not in found.out
        assert "'nope\x1b[2J" in "".join(strings(found.json()))
    assert "\x1b" not in rig.record("%s")


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)


def test_the_daemons_log_stays_one_line_per_event(poisoned: Rig) -> None:
    """Nobody forges a line of the log by what they write into Git."""
    with daemon(poisoned) as running:
        poisoned.wait(lambda: "error[proxy-rejected]" in running.text(), "the refusal is logged")
        assert "\x1b" not in running.text()
        assert "\nERROR |" not in running.text()


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(Stage.PLAN, marks=pytest.mark.long),
        Stage.PUSH,
        pytest.param("push:repoint", marks=pytest.mark.long),
    ],
)
def test_an_envoy_that_restarts_during_a_pass_ends_where_git_says(rig: Rig, stage: str) -> None:
    """The old process was read, a new one is written to: whatever this pass makes of it, nothing wrong is recorded."""
    rig.apply()
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    done: list[EnvoyProcess] = []

    def restart(at: Stage, detail: str) -> None:
        if not done and stage in {str(at), f"{at}:{detail.partition(':')[0]}"}:
            rig.envoys["edge"].kill()
            done.append(rig.start("edge"))

    report = watched(rig, restart)
    assert done
    assert not report.errors
    (outcome,) = report.outcomes.values()
    assert outcome.kind is OutcomeKind.APPLIED or report.exit_code() == 4
    if outcome.kind is OutcomeKind.APPLIED:
        rig.share_is(30)
    rig.apply()
    rig.share_is(30)
    assert "outcome: applied" in rig.recorded("edge")


def watched(rig: Rig, progress: Any) -> Any:
    """One pass in this process, with something that happens at a moment of it."""
    from reconciler.cli.options import settings
    from reconciler.cli.session import Session
    from reconciler.cycle import Ask

    with Session(settings(repo=str(rig.repo), ref="main", admin_timeout="2s"), quiet=True) as session:
        session.progress = progress
        return session.reconciler().run(Ask())


@pytest.mark.long
def test_a_proxy_may_move_to_another_envoy(fleet: Rig) -> None:
    """Another admin address and directory under the same name: the new Envoy gets everything, the old one is left alone.

    While the old one still has the port, the new one is rejected in Envoy's words.
    """
    fleet.apply()
    moved = (
        fleet.gateway("edge-3").partition("---\n")[2].replace("metadata: {name: edge-3}", "metadata: {name: edge-2}")
    )
    gateway = fleet.gateway("edge-2").partition("---\n")[0]
    old = {path: path.read_bytes() for path in fleet.directory("edge-2").rglob("*.pb")}
    fleet.commit(
        {
            "policies/edge-2.yaml": f"{gateway}---\n{moved.replace('gateway: edge-3', 'gateway: edge-2')}",
            "policies/edge-3.yaml": fleet.gateway("edge-3").partition("---\n")[0],
        },
        "edge-2 is another Envoy now",
    )
    allow = frozenset({"guard-delete-percent"})
    report = fleet.run(allow=allow)
    assert report.exit_code() == 4
    assert ["Address already in use" in item.detail for item in report.outcomes.values()] == [False, True]
    fleet.envoys["edge-2"].stop()
    fleet.apply(allow=allow)
    assert {path: path.read_bytes() for path in fleet.directory("edge-2").rglob("*.pb")} == old
    assert fleet.ask("edge-3", "/listeners").decode().split("::")[-1].strip() == f"127.0.0.1:{fleet.listen['edge-2']}"
    fleet.share_is(0, requests=50, name="edge-2")
