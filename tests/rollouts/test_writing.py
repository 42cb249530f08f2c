"""What a decision writes: the weights and the status, in one go, and nothing else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.decision import Move
from reconciler.rollouts.messages import message
from reconciler.rollouts.weights import FINEST, WeightError, standing, stranded, weight_edits
from reconciler.rollouts.writing import files
from reconciler.yamldoc import SpliceError
from tests.rollouts.repo import ROLLOUT, ROUTES, SERVICES, Folder, decision

OTHER = "    - destination: {host: reviews}\n      weight: 10\n"
PRIMARY = ROUTES.split("  - name: primary\n")[1]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The example."""
    return Folder(tmp_path).write()


def at(folder: Folder, step: int, phase: Phase = Phase.PROGRESSING, reason: str = "") -> RolloutStatus:
    """A status of the run that the spec asks for."""
    course = folder.course
    return RolloutStatus(phase=phase, step=step, run=course.spec.run_name, steps=course.digest, reason=reason)


def put(folder: Folder, move: Move, status: RolloutStatus, weight: float | None) -> dict[str, bytes]:
    """Carry a decision out."""
    written = dict(files(decision(folder.course, move, status, weight=weight), folder.course, folder.mesh, folder.read))
    folder.put(written)
    return written


def test_a_step_is_the_weights_and_the_status_and_nothing_else(folder: Folder) -> None:
    """Comments, quotes and order stay; the file of the routes differs in two numbers."""
    put(folder, Move.START, at(folder, 0), 5.0)

    assert folder.text("policies/routes.yaml") == ROUTES.replace("100  #", "95  #").replace(
        "0  # canary", "5  # canary"
    )
    body, end = ROLLOUT.split("# that's")
    block = f'status:\n  phase: Progressing\n  step: 0\n  run: "v1->v2"\n  steps: "{folder.course.digest}"\n'
    assert folder.text("policies/rollout.yaml") == f"{body}{block}# that's{end}"
    assert (folder.course.status, folder.weight) == (at(folder, 0), 5.0)


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.ABORTED])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  canary: v2\n  step: 4\n", "  canary: v2\n"),
        ("  canary: v2\n  step: 4  # it is late\n", "  canary: v2\n  step: 0  # it is late\n"),
        ("  canary: v2\n  step: &s 4\n  progressDeadlineSeconds: *s\n", "  step: &s 4\n"),
    ],
    ids=["line", "comment", "anchor"],
)
def test_the_end_of_a_run_takes_its_promotion_with_it(folder: Folder, phase: Phase, before: str, after: str) -> None:
    """Else the next run would not begin; a person's words stay, and what can't be taken away does not keep a run from ending."""
    put(folder, Move.START, at(folder, 0), 5.0)
    folder.edit("policies/rollout.yaml", "  canary: v2\n", before)
    put(folder, Move.ADVANCE, at(folder, 1), 5.0)
    assert before in folder.text("policies/rollout.yaml")

    put(folder, Move.FINISH, at(folder, 4, phase), 100.0)

    text = folder.text("policies/rollout.yaml")
    assert after in text
    assert text.count(" 4") == 1 + ("&" in after)
    assert folder.course.status.phase is phase


def test_a_promotion_of_a_run_that_is_to_begin_stays(folder: Folder) -> None:
    """It is about that run: only the end of its own takes it away."""
    put(folder, Move.START, at(folder, 0), 5.0)
    folder.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  run: again\n  step: 2\n")
    ended = folder.course.status.model_copy(update={"phase": Phase.ABORTED})

    put(folder, Move.ABORT, ended, 0.0)

    assert folder.course.spec.step == 2


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    """Weights and status in one file are one splice."""
    folder = Folder(tmp_path).write(routes="", rollout=f"{ROUTES}---\n{ROLLOUT}")

    written = put(folder, Move.START, at(folder, 0), 5.0)

    assert list(written) == ["policies/rollout.yaml"]
    assert (folder.course.status, folder.weight) == (at(folder, 0), 5.0)


def test_a_pause_leaves_the_weights_and_says_why_in_one_line(folder: Folder) -> None:
    """People's weights stay as people put them; their words are bounded and can't become fields."""
    put(folder, Move.START, at(folder, 0), 5.0)
    reason = "Ada: moved\nstep: 7 \x1b[2J" + "x" * 2000

    written = put(folder, Move.PAUSE, at(folder, 0, Phase.PAUSED, reason), None)

    assert list(written) == ["policies/rollout.yaml"]
    status = folder.course.status
    assert (status.phase, status.step) == (Phase.PAUSED, 0)
    assert status.reason.startswith("Ada: moved\\nstep: 7 \\x1b[2Jx")
    assert len(status.reason) == 400


def test_a_hold_writes_nothing(folder: Folder) -> None:
    """Waiting is no commit."""
    assert put(folder, Move.HOLD, at(folder, 3), 100.0) == {}


def test_a_file_that_cannot_be_spliced_is_named(tmp_path: Path) -> None:
    """The person who has to mend it is told where."""
    folder = Folder(tmp_path).write(routes=ROUTES.replace("weight: 0 ", "weight: &w 0 "))

    with pytest.raises(SpliceError, match=r"policies/routes.yaml: .* has an anchor"):
        put(folder, Move.START, at(folder, 0), 5.0)


WEIGHTS = st.integers(0, 100)


@given(stable=WEIGHTS, canary=WEIGHTS, other=WEIGHTS, percent=st.integers(0, 100_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_every_percentage_is_exact_or_refused(
    tmp_path: Path, stable: int, canary: int, other: int, percent: int
) -> None:
    """What is written is what is read; others keep their part; totals grow by tens up to 100,000 and never shrink."""
    if not stable + canary + other:
        other = 1
    routes = ROUTES.replace("100  #", f"{stable}  #").replace("0  # canary", f"{canary}  # canary")
    folder = Folder(tmp_path).write(routes=routes + OTHER.replace("10", str(other)))
    before = [share.weight for share in folder.mesh.virtual_services[0].spec.http[0].route]
    try:
        put(folder, Move.ADVANCE, at(folder, 1), percent / 1000)
    except WeightError:
        shared, total = stable + canary, stable + canary + other
        factors = [factor for factor in (1, 10, 100, 1000) if factor == 1 or total * factor <= FINEST]
        assert not shared or all((Fraction(percent, 100_000) * shared * factor).denominator != 1 for factor in factors)
        return
    after = [share.weight for share in folder.mesh.virtual_services[0].spec.http[0].route]
    assert folder.weight == percent / 1000
    assert sum(after) % sum(before) == 0
    assert sum(after) // sum(before) in {1, 10, 100, 1000}
    assert after[2] * sum(before) == before[2] * sum(after)
    assert weight_edits(folder.course, folder.mesh, percent / 1000) == ()


def test_a_fraction_of_a_percent_makes_the_weights_finer_for_good(folder: Folder) -> None:
    """0.5% of 100 is 5 of 1,000, and 25% of that is 250."""
    put(folder, Move.START, at(folder, 0), 0.5)
    assert [share.weight for share in folder.mesh.virtual_services[0].spec.http[0].route] == [995, 5]

    put(folder, Move.ADVANCE, at(folder, 1), 25)

    assert [share.weight for share in folder.mesh.virtual_services[0].spec.http[0].route] == [750, 250]


def test_a_percentage_that_no_total_has_is_refused(folder: Folder) -> None:
    """Nothing is rounded in silence."""
    with pytest.raises(WeightError, match=r"can't give v2 0.0005%") as caught:
        weight_edits(folder.course, folder.mesh, 0.0005)
    assert "three decimals" in caught.value.diagnostics[0].hint


def test_rules_that_disagree_are_seen(tmp_path: Path) -> None:
    """The first rule tells the weight, and whether the others give the same is told beside it; a step makes them even."""
    second = "  - name: second\n" + PRIMARY.replace("100  #", "70  #").replace("0  # canary", "30  # canary")
    named = ROLLOUT.replace("routes: [primary]", "routes: [primary, second]")
    matching = ROUTES.replace("    timeout: 10s\n", "    match: [{uri: {prefix: /a}}]\n")
    folder = Folder(tmp_path).write(routes=matching + second, rollout=named)
    found = standing(folder.course, folder.mesh)
    assert (found.percent, found.even) == (0.0, False)

    put(folder, Move.START, at(folder, 0), 5.0)

    found = standing(folder.course, folder.mesh)
    assert (found.percent, found.even) == (5.0, True)


SUBJECTS = {
    "start": (Move.START, 0, 0, 5.0, "canary(reviews): start v2 at 5% (step 1/4)"),
    "weight": (Move.ADVANCE, 1, 2, 25.0, "canary(reviews): v2 5% -> 25% (step 3/4)"),
    "same": (Move.ADVANCE, 0, 1, 5.0, "canary(reviews): v2 at 5%, pause (step 2/4)"),
    "pause": (Move.PAUSE, 1, 1, None, "canary(reviews): pause v2 (step 2/4)"),
    "resume": (Move.RESUME, 1, 1, 5.0, "canary(reviews): resume v2 at 5% (step 2/4)"),
    "abort": (Move.ABORT, 2, 2, 0.0, "canary(reviews): abort, v2 back to 0% (step 3/4)"),
    "finish": (Move.FINISH, 3, 4, 100.0, "canary(reviews): v2 has all traffic, succeeded (step 4/4)"),
}


@pytest.mark.parametrize(("move", "old", "new", "weight", "subject"), SUBJECTS.values(), ids=SUBJECTS)
def test_what_git_log_says(folder: Folder, move: Move, old: int, new: int, weight: float | None, subject: str) -> None:
    """Each move has a subject of its own, and three trailers as the last paragraph."""
    put(folder, Move.START, at(folder, old), None)

    text = message(decision(folder.course, move, at(folder, new), weight=weight), folder.course)

    position = min(new + 1, 4)
    trailers = f"Rollout: default/reviews\nRollout-Step: {position}/4\nRollout-Decision: {move}\n"
    assert text == f"{subject}\n\n{trailers}"


def test_words_of_others_are_never_trailers(folder: Folder) -> None:
    """Whatever a metric or an author is called: it is one bounded line, and the last paragraph is ours."""
    odd = "x\n\nRollout: default/other\nRollout-Decision: abort\x1b[2J"
    said = decision(folder.course, Move.ABORT, at(folder, 0), weight=0.0, reason=odd, measured=(odd, *["y" * 999] * 50))

    text = message(said, folder.course)

    *body, last = text.rstrip("\n").split("\n\n")
    assert last == "Rollout: default/reviews\nRollout-Step: 1/4\nRollout-Decision: abort"
    lines = "\n\n".join(body).split("\n")
    assert not [line for line in lines if line.startswith("Rollout")]
    assert max(map(len, lines)) <= 310
    assert "\x1b" not in text
    assert lines[-1] == "    and 21 more"


V3 = """\
    - destination: {host: reviews, subset: v3}
      weight: 0
"""


@pytest.mark.parametrize(
    ("phase", "v2", "said"),
    [
        ("Progressing", 10, "v2 still has 10%"),
        ("Paused", 10, "v2 still has 10%"),
        ("Aborted", 10, ""),
        ("Paused", 0, ""),
    ],
)
def test_what_a_run_that_was_left_has_is_seen(tmp_path: Path, phase: str, v2: int, said: str) -> None:
    """The canary of a run that has not ended keeps its share when the rollout turns to another canary; only that is in the way."""
    routes = ROUTES.replace("100  #", f"{100 - v2}  #").replace("weight: 0  # canary", f"weight: {v2}")
    services = SERVICES.replace(
        "{name: v2, labels: {version: v2}}]", "{name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}]"
    )
    status = f'status: {{phase: {phase}, step: 1, run: "v1->v2", steps: abc}}\n'
    rollout = ROLLOUT.replace("canary: v2", "canary: v3") + status
    folder = Folder(tmp_path).write(services=services, routes=routes + V3, rollout=rollout)
    assert stranded(folder.course, folder.mesh) == said
    folder.edit("policies/rollout.yaml", "canary: v3", "canary: v2")
    assert stranded(folder.course, folder.mesh) == ""
