"""A step that lost its race is decided again from what is there then, and that has to be signed as any other head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.gitrepo import open_repository
from reconciler.settings import GitSettings, Identity, Signing, TrustSettings
from tests.cycle.walked import ROUTES, World
from tests.gitrepo.signing import ssh_key


def test_no_step_goes_on_top_of_what_came_in_between_unsigned(tmp_path: Path) -> None:
    """Otherwise whoever may push and not sign would wait for a step, whose signature would have theirs applied."""
    key, signers = ssh_key(tmp_path / "key"), tmp_path / "signers"
    signers.write_text(key.line("us@example.com"), encoding="ascii")
    signing = Signing(key=str(key.path))
    with World(tmp_path) as world:
        stranger = world.people
        git = GitSettings(author=Identity(name="Ada", email="ada@x.test"), cache=tmp_path / "cache", signing=signing)
        world.people = world.stack.enter_context(open_repository(str(world.repo), git))
        world.land({}, "Count from here on")
        chosen = settings(repo=str(world.repo), ref="main", admin_timeout="2s")
        trust = TrustSettings(allowed_signers=str(signers))
        world.start(Session(replace(chosen, trust=trust, git=replace(chosen.git, signing=signing)), quiet=True))

        def intrude() -> None:
            text = world.text(ROUTES).replace("timeout: 10s", "timeout: 1s").encode()
            stranger.commit("main", expect=world.head, files={ROUTES: text}, message="Mine", at=world.clock.now())

        assert world.turn().exit_code() == 0, "the next pass begins the run"
        world.between.append(intrude)
        report = world.turn()
        assert not world.between
        assert [item.code for item in report.errors] == ["commit-unsigned"]
        assert (report.taken, world.people.commit_info(world.head).subject) == ((), "Mine")
        world.land({}, "Looked at")
        assert len(world.turn().taken) == 1
