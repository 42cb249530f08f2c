"""Whose commits count, in words that say who has to do what: real keys, real commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.cycle.desired import Compiler
from reconciler.cycle.history import allowed_since, last_good_branch
from reconciler.cycle.report import Stopwatch, silent
from reconciler.cycle.trust import Trust, UntrustedError
from reconciler.gitrepo import open_repository
from reconciler.settings import GitSettings, Signing, TrustSettings
from tests.e2e.rig import MESH, git
from tests.gitrepo.signing import SshKey, ssh_key


class World:
    """A checkout in which ada may sign, and eve may not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "r"
        git("init", "-q", "-b", "main", str(self.path))
        self.ada, self.eve = ssh_key(folder / "ada"), ssh_key(folder / "eve")
        self.signers = folder / "allowed"
        self.signers.write_text(self.ada.line("ada@example.com"), encoding="ascii")

    def commit(self, message: str, key: SshKey | None = None, *, files: dict[str, str] | None = None) -> str:
        for path, text in (files or {}).items():
            (self.path / path).parent.mkdir(exist_ok=True)
            (self.path / path).write_text(text, encoding="utf-8")
        here = ["-C", str(self.path)]
        git(*here, "add", "-A")
        options = [*key.options, "-c", "commit.gpgsign=true"] if key else []
        git(*here, *options, "commit", "-q", "--allow-empty", "-m", message)
        return git(*here, "rev-parse", "HEAD").strip()

    @contextmanager
    def trust(self, *, signing: SshKey | None = None, signers: Path | None = None) -> Iterator[Trust]:
        ours = Signing(format="ssh", key=str(signing.path)) if signing else None
        with open_repository(str(self.path), GitSettings(cache=self.folder / "cache", signing=ours)) as repository:
            yield Trust(repository, TrustSettings(allowed_signers=str(signers or self.signers)), SystemClock())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("trust"))


def test_without_signers_everybody_counts(world: World) -> None:
    """Signatures are required only where somebody says whose."""
    commit = world.commit("Anybody")
    with open_repository(str(world.path), GitSettings(cache=world.folder / "cache")) as repository:
        trust = Trust(repository, TrustSettings(), SystemClock())
        assert (trust.required, trust.findings(commit), trust.own_key()) == (False, (), None)
        trust.require(commit)


def test_a_commit_that_does_not_count_says_who_made_it_and_what_to_do(world: World) -> None:
    """Its subject and author are escaped: they are a stranger's."""
    unsigned = world.commit("Look\x1b[2J here")
    strange = world.commit("Trust me", world.eve)
    with world.trust() as trust:
        (one,), (other,) = trust.findings(unsigned), trust.findings(strange)
        assert one.code == "commit-unsigned"
        assert one.message == (
            f'{unsigned[:12]} "Look\\x1b[2J here" by Pat <pat@example.com> is not signed, so it is not applied'
        )
        assert "git commit --amend -S" in one.hint
        assert other.code == "commit-signer"
        assert "ssh key SHA256:" in other.message
        assert not trust.trusted(strange)
        with pytest.raises(UntrustedError, match="commit-signer"):
            trust.require(strange)
        signed = world.commit("Fine", world.ada)
        assert trust.findings(signed) == ()
        assert trust.trusted(signed)


def test_who_may_sign_is_read_each_time(world: World, tmp_path: Path) -> None:
    """A key that is taken out counts no more with the next pass; a file that is gone means nobody, not everybody."""
    signers = tmp_path / "allowed"
    signers.write_text(world.ada.line("ada@example.com"), encoding="ascii")
    commit = world.commit("By Ada", world.ada)
    with world.trust(signers=signers) as trust:
        assert trust.findings(commit) == ()
        signers.write_text(world.eve.line("eve@example.com"), encoding="ascii")
        assert [item.code for item in trust.findings(commit)] == ["commit-signer"]
        signers.unlink()
        assert [item.code for item in trust.findings(commit)] == ["trust-signers"]
        assert not trust.trusted(commit)


def test_our_own_key_has_to_count(world: World) -> None:
    """Otherwise a step of a rollout would be a head that we refuse."""
    with world.trust(signing=world.ada) as trust:
        assert trust.own_key() is None
    for signing, words in ((None, "--signing-key"), (world.eve, "add its key")):
        with world.trust(signing=signing) as trust:
            found = trust.own_key()
            assert found is not None
            assert found.code == "trust-own-key"
            assert words in found.hint
    missing = SshKey(world.folder / "missing")
    with world.trust(signing=missing) as trust:
        found = trust.own_key()
        assert found is not None
        assert "can't be signed" in found.message


def test_trailers_count_only_from_commits_that_count(world: World) -> None:
    """Whoever can push could otherwise acknowledge anything, below somebody else's signed commit."""
    base = world.commit("Base", world.ada)
    world.commit("Quietly\n\nReconcile-Allow: guard-empty-view")
    world.commit("On purpose\n\nReconcile-Allow: guard-delete-percent", world.ada)
    head = world.commit("Head", world.ada)
    with (
        world.trust() as trust,
        open_repository(str(world.path), GitSettings(cache=world.folder / "cache")) as repository,
    ):
        assert allowed_since(repository, base, head, trusted=trust.trusted) == {"guard-delete-percent"}
        assert allowed_since(repository, base, head) == {"guard-delete-percent", "guard-empty-view"}


def test_where_receipts_are_is_said_by_a_commit_that_counts(world: World) -> None:
    """Below an unusable head, the record branch is not the one that an unsigned commit names."""
    mesh = {"policies/mesh.yaml": MESH.replace("{verify", "{record: {branch: ours}, verify")}
    world.commit("Ours", world.ada, files=mesh)
    world.commit("Theirs", files={"policies/mesh.yaml": mesh["policies/mesh.yaml"].replace("ours", "theirs")})
    head = world.commit("Head")
    with (
        world.trust() as trust,
        open_repository(str(world.path), GitSettings(cache=world.folder / "cache")) as repository,
    ):
        found = last_good_branch(
            repository, Compiler(), head, ref="main", watch=Stopwatch(silent), trusted=trust.trusted
        )
        assert found == "ours"
