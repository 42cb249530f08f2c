"""Evidence goes to the record branch and comes back the same, or is refused by the name of what is wrong with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.key import Key
from reconciler.model.reading import Counts
from reconciler.model.rollout import Phase
from reconciler.rollouts.comparison import begin
from reconciler.rollouts.evidence import Aborted, Evidence, Measured, Outcome, Running, Seen, present
from reconciler.rollouts.evidence_plain import from_plain, to_plain

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

times = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the zone
texts = st.text(max_size=5)
numbers = st.integers(0, 10**9)
buckets = st.dictionaries(
    st.sampled_from([(0.0, 1.0), (1.0, 1.1), (2.5, float("inf"))]), st.integers(1, 1000), max_size=3
)
counts = st.builds(
    Counts, requests=numbers, errors=numbers, timeouts=numbers, resets=numbers, unhealthy=numbers, times=buckets
)
comparisons = st.none() | st.sampled_from([begin("success", rate=0.01), begin("duration", rate=0.002, percentile=95)])
measured = st.builds(
    Measured,
    since=times,
    passed=numbers,
    failed=numbers,
    inconclusive=numbers,
    errors=numbers,
    canary=counts,
    stable=counts,
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    outcome=st.none() | st.sampled_from(Outcome),
    detail=texts,
    waiting=texts,
    comparison=comparisons,
)
running = st.builds(Running, started=times, passed=st.booleans(), metrics=st.dictionaries(texts, measured, max_size=2))
seen = st.builds(
    Seen,
    epoch=texts,
    canary=st.none() | counts,
    stable=st.none() | counts,
    share=st.none() | st.floats(0, 100),
)
keys = st.builds(Key, st.sampled_from(["default", "shop"]), st.sampled_from(["a", "b", "c"]))
evidences = st.builds(
    Evidence,
    run=texts,
    phase=st.sampled_from(Phase),
    step=st.integers(0, 20),
    entered=times,
    verified=st.none() | times,
    timed=st.booleans(),
    callers=st.dictionaries(keys, seen, max_size=2),
    analyses=st.dictionaries(texts, running, max_size=2),
    aborted=st.none() | st.builds(Aborted, reason=texts, at=times, measured=st.lists(texts, max_size=2).map(tuple)),
    pausing=texts,
    seen=texts,
    proposal=st.dictionaries(texts, texts, max_size=2),
    notified=texts,
    note=texts,
)


@given(evidences)
def test_evidence_survives_the_record_branch(evidence: Evidence) -> None:
    """What was written is read back the same, through JSON too, and writing it again gives the same text."""
    text = json.dumps(to_plain(evidence), allow_nan=False)
    back = from_plain(json.loads(text))
    assert back == evidence
    assert json.dumps(to_plain(back)) == text


def plain() -> dict[str, Any]:
    return to_plain(
        Evidence(
            run="v1->v2",
            phase=Phase.PROGRESSING,
            step=2,
            entered=NOW,
            callers={Key("default", "web"): Seen(epoch="7", canary=Counts(requests=3), share=5.0)},
            analyses={"step-2": Running(started=NOW, metrics={"m": Measured(since=NOW, value=0.0)})},
        )
    )


def test_empty_fields_are_left_out() -> None:
    """The file on the record branch shows what there is, and a measured 0 is something."""
    assert plain() == {
        "run": "v1->v2",
        "phase": "Progressing",
        "step": 2,
        "entered": "2026-03-01T12:00:00.000000+00:00",
        "analyses": {
            "step-2": {
                "started": "2026-03-01T12:00:00.000000+00:00",
                "metrics": {"m": {"since": "2026-03-01T12:00:00.000000+00:00", "value": 0.0}},
            }
        },
        "callers": {"default/web": {"epoch": "7", "share": 5.0, "canary": {"requests": 3}}},
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": 1}, "run: 1 is of the wrong type"),
        ({"phase": "Walking"}, "phase: 'Walking' is none of"),
        ({"step": -1}, "step: -1 is less than 0"),
        ({"step": True}, "step: True is of the wrong type"),
        ({"entered": "yesterday"}, "entered: 'yesterday' is not a time"),
        ({"entered": "2026-03-01T12:00:00"}, "has no time zone"),
        ({"entered": None}, "entered is missing"),
        ({"aborted": {"at": "2026-03-01T12:00:00+00:00", "by": "me"}}, "aborted.by is not known"),
        (
            {"aborted": {"at": "2026-03-01T12:00:00+00:00", "measured": [1]}},
            "aborted.measured is not a list of strings",
        ),
        ({"callers": {"a/b": {"canary": {}}}}, "callers.a/b.epoch is missing"),
        ({"callers": {"a/b": {"epoch": "1", "canary": {"times": [[1, 2]]}}}}, "callers.a/b.canary.times"),
        ({"callers": []}, "callers: \\[\\] is of the wrong type"),
        ({"analyses": {"post": []}}, "analyses.post is not a mapping"),
        ({"surprise": 1}, "surprise is not known"),
    ],
)
def test_what_is_not_understood_is_named(change: dict[str, Any], message: str) -> None:
    """Evidence that is not what was written is refused, and the message says which field."""
    with pytest.raises(ValueError, match=message):
        from_plain(plain() | change)


@pytest.mark.parametrize("field", ["run", "phase", "step", "entered"])
def test_a_missing_field_is_named(field: str) -> None:
    """Without where the run is there is no evidence."""
    with pytest.raises(ValueError, match=f"{field} is missing"):
        from_plain({name: value for name, value in plain().items() if name != field})


def test_time_zones_are_harmless() -> None:
    """A time is the same instant in whatever zone it was written."""
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert from_plain(plain() | {"entered": east.isoformat()}).entered == NOW
    assert from_plain(plain() | {"entered": east}).entered.tzinfo is UTC
    assert to_plain(from_plain(plain() | {"entered": east.isoformat()})) == plain()


@given(evidences)
def test_times_from_the_future_count_as_now(evidence: Evidence) -> None:
    """No time in evidence is later than now, and those that are not stay as they are."""
    found = present(evidence, NOW)
    assert found.entered == min(evidence.entered, NOW)
    assert found.verified is None or found.verified <= NOW
    assert found.aborted is None or found.aborted.at <= NOW
    for name, item in found.analyses.items():
        assert item.started == min(evidence.analyses[name].started, NOW)
        assert all(metric.since <= NOW for metric in item.metrics.values())
    assert present(found, NOW) == found
