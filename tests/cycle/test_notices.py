from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.cycle.notices import Notice, without_secrets
from reconciler.model.key import Key
from reconciler.model.proxy import NotificationFormat
from reconciler.model.rollout import Phase

NOTICE = Notice(
    rollout=Key("default", "reviews"),
    run="v1->v2",
    stable="v1",
    canary="v2",
    phase=Phase.PROGRESSING,
    step=2,
    steps=6,
    weight=25.0,
    reason="",
    commit="c" * 40,
    began="c" * 40,
    repository="https://git.example/mesh.git",
    at=datetime(2026, 3, 4, 11, 0, tzinfo=timezone(timedelta(hours=1))),
)
EVIL = "<!channel> <https://evil.example|click> & *bold* `x`\n\x1b[2J\u202e"


def test_the_json_body_is_the_documented_one() -> None:
    """What receivers parse: these fields, and no other."""
    assert NOTICE.body(NotificationFormat.JSON) == {
        "schema_version": 1,
        "id": NOTICE.id,
        "rollout": "reviews",
        "namespace": "default",
        "run": "v1->v2",
        "phase": "Progressing",
        "step": 2,
        "steps": 6,
        "weight": 25.0,
        "reason": "",
        "commit": "c" * 40,
        "repository": "https://git.example/mesh.git",
        "at": "2026-03-04T10:00:00.000+00:00",
    }


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"step": 3}, True),
        ({"run": "v1->v2#again"}, True),
        ({"phase": Phase.PAUSED, "reason": "held"}, True),
        ({"weight": 26.0}, False),
        ({"commit": "d" * 40, "began": "d" * 40}, False),
        ({"at": datetime(2027, 1, 1, tzinfo=UTC)}, False),
    ],
)
def test_a_state_is_run_phase_and_step(other: dict[str, object], told: bool) -> None:  # noqa: FBT001
    """What is told once; time, commit and weight alone make no other state."""
    assert (replace(NOTICE, **other).state != NOTICE.state) is told  # type: ignore[arg-type]


def test_a_pause_for_another_reason_is_another_state_and_numbers_are_none() -> None:
    """A laggard count that changes is no news; a person who steps in is."""
    paused = replace(NOTICE, phase=Phase.PAUSED, reason="no verdict for 601s")
    assert replace(paused, reason="no verdict for 722.5s").state == paused.state
    assert replace(paused, reason="Ann moved the weight").state != paused.state


def test_an_id_is_equal_for_the_same_state_only() -> None:
    """Told again after a kill it is the same; when a rollout comes into a state again, by another commit, it is another."""
    assert replace(NOTICE, at=datetime.now(UTC), weight=1.0, repository="a clone").id == NOTICE.id
    assert replace(NOTICE, began="d" * 40).id != NOTICE.id
    assert replace(NOTICE, rollout=Key("other", "reviews")).id != NOTICE.id


def test_an_abort_that_main_shows_later_is_not_told_again() -> None:
    """It is in force, and told, before its commit is on a protected branch."""
    aborted = replace(NOTICE, phase=Phase.ABORTED, reason="errors", commit="")
    later = replace(aborted, commit="e" * 40, reason="errors!")
    assert (later.state, later.id) == (aborted.state, aborted.id)


def test_words_of_others_are_no_markup_in_slack() -> None:
    """No mention, link or formatting comes out of a name or a reason, and no line break or terminal escape."""
    notice = replace(NOTICE, canary=EVIL, phase=Phase.PAUSED, reason=EVIL, rollout=Key(EVIL, EVIL), repository=EVIL)
    body = notice.body(NotificationFormat.SLACK)
    head = body["blocks"][0]["text"]
    assert head["type"] == "mrkdwn"
    assert head["verbatim"] is True
    for text in (head["text"], body["text"]):
        assert "<" not in text
        assert "&lt;!channel&gt;" in text
        assert "*bold*" not in text
        assert "\n" not in text
        assert "\x1b" not in text
    others = [body["blocks"][1]["text"], *body["blocks"][2]["elements"]]
    assert {item["type"] for item in others} == {"plain_text"}
    assert all(item["emoji"] is False and item["text"].isprintable() for item in others)


def test_slack_is_told_in_a_line() -> None:
    """What people see in the list of channels, and what they see in one."""
    body = NOTICE.body(NotificationFormat.SLACK)
    assert body["text"] == "reviews v1 -&gt; v2: step 3/6, v2 at 25%"
    assert body["blocks"][0]["text"]["text"] == ":arrow_forward: *reviews* v1 -&gt; v2: step 3/6, v2 at 25%"
    assert body["blocks"][-1]["elements"][0]["text"] == "https://git.example/mesh.git cccccccccc"
    assert len(body["blocks"]) == 2


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_words(phase: Phase) -> None:
    """Also once all steps are done, where no step is one more than there are."""
    notice = replace(NOTICE, phase=phase, step=6, reason="r" * 5000 if phase is Phase.PAUSED else "")
    body = notice.body(NotificationFormat.SLACK)
    assert "7/6" not in body["text"]
    assert all(len(json.dumps(block)) < 3000 for block in body["blocks"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://user:token@git.example:8443/mesh.git?private=1#x", "https://git.example:8443/mesh.git"),
        ("ssh://git@git.example/mesh.git", "ssh://git.example/mesh.git"),
        ("/srv/mesh", "/srv/mesh"),
        ("git@git.example:mesh.git", "git@git.example:mesh.git"),
    ],
)
def test_a_repository_is_told_without_its_secrets(given: str, shown: str) -> None:
    """Tokens in addresses stay on this machine."""
    assert without_secrets(given) == shown
