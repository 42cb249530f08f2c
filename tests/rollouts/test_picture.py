from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.reading import Counts
from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.chronicle import Recorded, Written
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.evidence import Evidence, Measured, Outcome, Running, Seen
from reconciler.rollouts.picture import picture
from reconciler.rollouts.timeline import Mark
from tests.rollouts.world import policy, rollout, template

START = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
RUN = "v1->v2"
LIMITED = template("golden", {"name": "request-success-rate", "thresholdRange": {"min": 99}})


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def course(phase: Phase, step: int, *, run: str = RUN) -> Course:
    spec = rollout(
        steps=[{"setWeight": 5}, {"analysis": {"templates": [{"templateName": "golden"}]}}, {"setWeight": 100}]
    )
    status = RolloutStatus(phase=phase, step=step, run=run if phase is not Phase.PENDING else "", reason="")
    mesh = Mesh(rollouts=(policy(spec, status),), analysis_templates=(LIMITED,))
    return course_of(mesh, mesh.rollouts[0])


def written(minutes: float, phase: Phase, step: int, weight: float, *, run: str = RUN) -> Written:
    return Written(
        commit=f"{minutes}", at=at(minutes), by="x", subject="x", course=course(phase, step, run=run), weight=weight
    )


def recorded(minutes: float, *, run: str = RUN, **fields: Any) -> Recorded:
    evidence = Evidence(run=run, phase=Phase.PROGRESSING, step=0, entered=START, **fields)
    return Recorded(
        commit=f"r{minutes}", at=at(minutes), subject="x", policy_commit="x", applied=1, proxies=1, evidence=evidence
    )


def counted(requests: int, errors: int = 0, *, epoch: str = "1") -> dict[str, Any]:
    counts = Counts(requests=requests, errors=errors, times={(10.0, 11.0): requests} if requests else {})
    return {"callers": MappingProxyType({Key("default", "web"): Seen(epoch=epoch, canary=counts, stable=counts)})}


BEGUN = (written(0, Phase.PENDING, 0, 0), written(1, Phase.PROGRESSING, 0, 5))


def test_windows_between_receipts_are_points() -> None:
    """Each shows what was counted since the receipt before, at the time of the later one."""
    receipts = [recorded(2, **counted(100)), recorded(3, **counted(200, 10)), recorded(4, **counted(300, 10))]
    drawn = picture(BEGUN, receipts, course(Phase.PROGRESSING, 0), now=at(5))
    assert [(point.at, point.value) for point in drawn.success.canary] == [(at(3), 90.0), (at(4), 100.0)]
    assert drawn.success.stable == drawn.success.canary
    assert drawn.success.limit == 99
    assert [10 <= point.value <= 11 for point in drawn.duration.canary] == [True, True]
    assert drawn.duration.limit is None


def test_what_can_not_be_known_is_no_point() -> None:
    """A caller that began anew, a window without requests, another run's receipts: nothing is made up."""
    receipts = [
        recorded(2, **counted(100)),
        recorded(3, **counted(20, epoch="2")),
        recorded(4, **counted(20, epoch="2")),
        recorded(5, run="v1->v3", **counted(90, epoch="2")),
    ]
    drawn = picture(BEGUN, receipts, course(Phase.PROGRESSING, 0), now=at(6))
    assert drawn.success.empty
    assert drawn.success.limit is None
    assert drawn.duration.empty


def test_measurements_stand_in_where_nothing_was_counted() -> None:
    """Each new one once: the canary's line of a metric that comes from elsewhere."""

    def measured(minutes: float, value: float) -> dict[str, Any]:
        item = Measured(since=at(minutes), value=value, outcome=Outcome.PASS, passed=1)
        running = Running(started=START, metrics=MappingProxyType({"golden/request-success-rate": item}))
        return {"analyses": MappingProxyType({"step-1": running})}

    receipts = [recorded(2, **measured(2, 99.5)), recorded(3, **measured(2, 99.5)), recorded(4, **measured(4, 99.5))]
    drawn = picture(BEGUN, receipts, course(Phase.PROGRESSING, 1), now=at(5))
    assert [(point.at, point.value) for point in drawn.success.canary] == [(at(2), 99.5), (at(4), 99.5)]
    assert drawn.success.stable == ()


def test_only_the_newest_run_is_drawn() -> None:
    """It begins where it begins, with the weight that it then had; one that has ended ends there, and one that goes on, now."""
    history = [
        *BEGUN,
        written(5, Phase.ABORTED, 0, 0),
        written(9, Phase.PROGRESSING, 0, 5, run="v1->v2#2"),
        written(12, Phase.PROGRESSING, 1, 5, run="v1->v2#2"),
        written(13, Phase.PAUSED, 1, 5, run="v1->v2#2"),
        written(14, Phase.PROGRESSING, 1, 5, run="v1->v2#2"),
        written(20, Phase.SUCCEEDED, 3, 100, run="v1->v2#2"),
    ]
    done = course(Phase.SUCCEEDED, 3, run="v1->v2#2")
    drawn = picture(history, [], done, now=at(500))
    assert (drawn.start, drawn.end, drawn.words) == (at(9), at(20), "Succeeded after 11m")
    assert [(point.at, point.value) for point in drawn.weight] == [(at(9), 5), (at(20), 100)]
    assert [(moment.mark, moment.label) for moment in drawn.moments] == [
        (Mark.STEP, "1"), (Mark.STEP, "2"), (Mark.HELD, "paused"), (Mark.GOOD, "succeeded"),
    ]  # fmt: skip
    goes_on = picture(history[:5], [], course(Phase.PROGRESSING, 1, run="v1->v2#2"), now=at(30))
    assert (goes_on.end, goes_on.words) == (at(30), "Progressing after 21m, step 2/3")


def test_what_has_not_begun_has_a_picture() -> None:
    """An empty one, of an instant; a clock that is behind the commits makes it no longer."""
    empty = picture(BEGUN[:1], [], course(Phase.PENDING, 0), now=at(-5))
    assert empty.start == empty.end
    assert replace(empty, moments=()) == empty
