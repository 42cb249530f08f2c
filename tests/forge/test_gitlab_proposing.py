"""Steps of rollouts as merge requests on GitLab: the same proposals, by another forge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cycle.proposing import Proposer
from reconciler.cycle.walking.landing import opened
from reconciler.forge import GitLab
from reconciler.gitrepo import open_repository
from reconciler.model.proxy import Forge
from reconciler.settings import GitSettings
from tests.forge.conftest import FILES, START, Hand
from tests.forge.gitlab import GitLabServer
from tests.forge.test_proposing import ABORT, ADVANCE, BACK, BRANCH, STEP, TRAILERS, Passes, message, outcome


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitLabServer]:
    with GitLabServer(tmp_path / "gitlab", FILES) as found:
        yield found


@pytest.fixture
def passes(server: GitLabServer, clock: Hand, tmp_path: Path) -> Iterator[Passes]:
    said = {"gitlab": {"project": server.project, "api": server.api, "tokenFile": str(server.token_file)}}
    forge = opened(Forge.model_validate(said), clock=clock)
    assert isinstance(forge, GitLab)
    with forge, open_repository(server.url, GitSettings(cache=tmp_path / "cache")) as repository:
        yield Passes(repository, Proposer(repository, forge))


def test_a_forge_that_is_not_named_is_none(clock: Hand) -> None:
    """The policies' own check says so to people."""
    assert opened(Forge(), clock=clock) is None


def test_a_step_is_proposed_once_and_found_again(server: GitLabServer, passes: Passes) -> None:
    """What is there already is not written again."""
    assert outcome(passes.run()) == "opened"
    writes = len(server.writes)
    assert outcome(passes.run()) == "waiting"
    assert len(server.writes) == writes
    (pull,) = server.hosted.pulls.values()
    assert (pull.head, pull.base, pull.head_sha) == (BRANCH, "main", server.hosted.tip(BRANCH))
    assert pull.body.endswith(f"\n\n{TRAILERS}\n")


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_merged_step_has_landed(server: GitLabServer, passes: Passes, how: str) -> None:
    """However it was merged; also for a pass that has not fetched what was merged."""
    known = passes.run()
    base = passes.repository.resolve("main")
    server.merge(1, how)
    done = passes.proposer.propose(
        ADVANCE, files=STEP, message=message(ADVANCE), base=base, at=START, known=known.plain
    )  # fmt: skip
    assert outcome(done) == "merged"
    assert outcome(passes.run()) == "nothing"
    assert len(server.hosted.pulls) == 1


def test_a_step_that_a_person_closed_is_held(server: GitLabServer, passes: Passes) -> None:
    """It is not opened again behind their back."""
    passes.run()
    server.hosted.close(1)
    assert outcome(passes.run()) == "held"
    assert server.hosted.pulls[1].state == "closed"


def test_an_abort_replaces_the_step_and_what_is_over_is_withdrawn(server: GitLabServer, passes: Passes) -> None:
    """In the same merge request; then it is closed and its branch is gone."""
    passes.run()
    assert outcome(passes.run(ABORT, BACK)) == "updated"
    assert len(server.hosted.pulls) == 1
    passes.rest()
    assert (server.hosted.pulls[1].state, server.hosted.tip(BRANCH)) == ("closed", "")
