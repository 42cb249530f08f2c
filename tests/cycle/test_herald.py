from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cycle.herald import Herald, origin
from reconciler.cycle.notifier import Notifier
from reconciler.cycle.past import Past
from reconciler.errors import Diagnostic
from reconciler.gitrepo import Repository, open_repository
from reconciler.model.key import Key
from reconciler.model.rollout import Phase
from reconciler.rollouts.evidence import Aborted, Evidence
from reconciler.settings import GitSettings
from tests.cli.rollout.walk import KEY, Walk, first_steps, rollout
from tests.cycle.test_notifier import Receiver
from tests.http.servers import Server, serving


class Process:
    """A process that tells of rollouts: what it remembers is gone with it, and evidence stays."""

    def __init__(self, repository: Repository, evidence: Evidence) -> None:
        self.said: list[Diagnostic] = []
        self.notifier = Notifier(self.said.append, first_pause=0.01)
        self.evidence: Mapping[Key, Evidence] = {KEY: evidence}
        self._repository = repository
        self._past = Past(repository, "main")
        self._herald = Herald(repository, self.notifier)

    def look(self, walk: Walk) -> bool:
        """One pass, and another once all is delivered; says whether evidence changed."""
        before = self.evidence
        for _ in range(2):
            point = self._past.standpoint()
            self.evidence = {
                **self.evidence,
                **self._herald.tell(point.mesh, self.evidence, commit=point.commit, now=walk.now),
            }
            assert self.notifier.wait(20)
        return self.evidence != before


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    return Walk(tmp_path / "mesh.git")


@pytest.fixture
def repository(walk: Walk) -> Iterator[Repository]:
    with open_repository(str(walk.path), GitSettings()) as found:
        yield found


def mesh(server: Server) -> dict[str, str | None]:
    return {
        "mesh.yaml": "apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\n"
        f"spec: {{notifications: [{{url: '{server.address}/hook'}}]}}\n"
    }


def test_each_state_is_told_once_whoever_tells(walk: Walk, repository: Repository) -> None:
    """By the process that saw it, and not again by the next; a state that it comes into again is told again."""
    evidence = first_steps(walk)
    receiver = Receiver()
    with serving(receiver) as server:
        walk.main(mesh(server), "Tell Ann")
        first = Process(repository, evidence)
        with closing(first.notifier):
            assert first.look(walk)
            assert not first.look(walk)
            told = [receiver.next()]
            walk.after(minutes=1).step("phase: Paused, step: 3, reason: Bob looks", 25, by="Bob")
            assert first.look(walk)
            walk.after(minutes=1).step("phase: Progressing, step: 3", 25, by="Bob")
            assert first.look(walk)
            told += [receiver.next(), receiver.next()]
        second = Process(repository, first.evidence[KEY])
        with closing(second.notifier):
            assert not second.look(walk)
        killed = Process(repository, evidence)  # nothing was recorded of what the first one told
        with closing(killed.notifier):
            assert killed.look(walk)
            told.append(receiver.next())
        assert receiver.told.empty()
    assert [(body["phase"], body["step"], body["reason"]) for body in told] == [
        ("Progressing", 3, ""), ("Paused", 3, "Bob looks"), ("Progressing", 3, ""), ("Progressing", 3, ""),
    ]  # fmt: skip
    assert len({body["id"] for body in told}) == 3
    assert told[3]["id"] == told[2]["id"]
    assert told[1]["commit"] == walk.commits[-2]
    assert told[0]["commit"] == walk.commits[4]
    assert told[0]["weight"] == 25.0


def test_an_abort_is_told_when_it_is_in_force_and_not_when_main_follows(walk: Walk, repository: Repository) -> None:
    """Its evidence comes first; the commit on a protected branch may come days later."""
    evidence = first_steps(walk)
    aborted = replace(evidence, aborted=Aborted(reason="errors", at=walk.now))
    receiver = Receiver()
    with serving(receiver) as server:
        walk.main(mesh(server), "Tell Ann")
        process = Process(repository, aborted)
        with closing(process.notifier):
            assert process.look(walk)
            body = receiver.next()
            assert (body["phase"], body["reason"], body["commit"], body["weight"]) == ("Aborted", "errors", "", 0.0)
            walk.after(minutes=9).step("phase: Aborted, step: 3, reason: errors", 0)
            process.evidence = {KEY: replace(process.evidence[KEY], aborted=None, phase=Phase.ABORTED)}
            assert not process.look(walk)
            assert receiver.told.empty()


def test_a_person_is_told_that_they_are_waited_for(walk: Walk, repository: Repository) -> None:
    """A pause without an end is the one state that goes on only if somebody hears of it."""
    evidence = replace(first_steps(walk), step=4)
    receiver = Receiver()
    with serving(receiver) as server:
        walk.main(mesh(server), "Tell Ann")
        walk.step("phase: Progressing, step: 4", 25)
        process = Process(repository, evidence)
        with closing(process.notifier):
            process.look(walk)
            assert receiver.next()["reason"] == "waits until a person promotes it"


def test_what_has_no_run_or_nobody_to_tell_is_not_told(walk: Walk, repository: Repository) -> None:
    """A rollout that has not begun, evidence of another run, and a mesh without notifications."""
    evidence = first_steps(walk)
    quiet = Process(repository, evidence)
    with closing(quiet.notifier):
        assert not quiet.look(walk)
    receiver = Receiver()
    with serving(receiver) as server:
        walk.main(mesh(server), "Tell Ann")
        other = Process(repository, replace(evidence, run="v1->v3"))
        with closing(other.notifier):
            assert not other.look(walk)
        walk.main({"rollout.yaml": rollout()}, "Begin anew")
        pending = Process(repository, evidence)
        with closing(pending.notifier):
            assert not pending.look(walk)
        assert receiver.told.empty()


def test_where_a_state_came_from_is_found_through_broken_commits(walk: Walk, repository: Repository) -> None:
    """Other edits and a file that can't be read do not begin a state; another status does, and a move is as far as it goes."""
    first_steps(walk)
    began = walk.commits[-1]
    walk.main({"rollout.yaml": "kind: [\n"}, "Break it")
    head = walk.step("phase: Progressing, step: 3", 25, spec="maxLaggards: 1")
    state = ("run", "step", "phase")
    assert origin(repository, head, "policies/rollout.yaml", KEY, state) == began
    assert origin(repository, head, "policies/rollout.yaml", KEY, ("run",)) == walk.commits[1]
    head = walk.step("phase: Paused, step: 3", 25)
    assert origin(repository, head, "policies/rollout.yaml", KEY, state) == head
    head = walk.main({"rollout.yaml": None, "moved.yaml": rollout("phase: Paused, step: 3")}, "Move it")
    assert origin(repository, head, "policies/moved.yaml", KEY, state) == head
