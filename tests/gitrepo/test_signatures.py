"""Who signed a commit: every way in which a signature can be good, and in which it can't, with real keys."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.gitrepo import Repository, Signature, SignersError, Verdict, open_repository, read_signers
from reconciler.settings import GitSettings, Signing, TrustSettings
from tests.gitrepo.signing import DATE, Gnupg, SshKey, gnupg, signed, ssh_key

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class World:
    """One repository, and keys of all kinds: those of ada count, eve is a stranger."""

    def __init__(self, folder: Path, pgp: Gnupg) -> None:
        self.folder = folder
        self.pgp = pgp
        self.path = folder / "r.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.path)], check=True)
        self.ssh: dict[str, SshKey] = {name: ssh_key(folder / name) for name in ("ada", "eve", "old", "new", "files")}
        self.signers = folder / "allowed"
        self.signers.write_text(
            "# who may\n"
            + self.ssh["ada"].line("ada@example.com")
            + self.ssh["old"].line("old@example.com", 'valid-before="20200101"')
            + self.ssh["new"].line("new@example.com", 'valid-after="20990101"')
            + self.ssh["files"].line("files@example.com", 'namespaces="file"'),
            encoding="ascii",
        )
        pgp.key("Ada <ada@example.com>")
        pgp.key("Eve <eve@example.com>")
        pgp.key("Old <old@example.com>", expires="1d", then="20200101T000000")
        pgp.key("Rex <rex@example.com>")
        self.keyring = folder / "keyring"

    def trust(self, *, ssh: bool = True, pgp: bool = True) -> TrustSettings:
        return TrustSettings(allowed_signers=str(self.signers) if ssh else "", keyring=str(self.keyring) if pgp else "")

    def judged(self, commit: str, trust: TrustSettings | None = None) -> Signature:
        with self.open() as repository:
            return repository.signature(commit, read_signers(trust or self.trust()))

    def open(self, settings: GitSettings | None = None) -> Repository:
        return open_repository(str(self.path), settings or GitSettings(cache=self.folder / "cache"))

    def by_ssh(self, name: str, *, parent: str = "", at: str = DATE) -> str:
        return signed(self.path, self.ssh[name].options, parent=parent, at=at)

    def by_pgp(self, name: str, *, then: str = "") -> str:
        return signed(self.path, self.pgp.options(f"{name}@example.com", then=then), home=self.pgp.home)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("s")
    with gnupg(folder / "g") as pgp:
        found = World(folder, pgp)
        made = found.by_pgp("rex")
        pgp.revoke("rex@example.com")
        pgp.publish("ada@example.com", "old@example.com", "rex@example.com", to=found.keyring)
        (folder / "revoked").write_text(made, encoding="ascii")
        yield found


def test_an_allowed_ssh_key_is_good_and_named(world: World) -> None:
    """The principal is the file's, the fingerprint the key's."""
    found = world.judged(world.by_ssh("ada"))
    assert (found.verdict, found.signer, found.form) == (Verdict.GOOD, "ada@example.com", "ssh")
    listed = subprocess.run(["ssh-keygen", "-lf", f"{world.ssh['ada'].path}.pub"], check=True, capture_output=True)
    assert found.key == listed.stdout.decode().split()[1]


def test_an_openpgp_key_in_the_keyring_is_good_and_named(world: World) -> None:
    """No ownertrust is asked for: being in the keyring is what counts."""
    found = world.judged(world.by_pgp("ada"))
    assert (found.verdict, found.signer, found.form) == (Verdict.GOOD, "Ada <ada@example.com>", "openpgp")
    assert len(found.key) == 40


def test_an_unsigned_commit_is_unsigned(world: World) -> None:
    """Whatever its message says."""
    assert (
        world.judged(signed(world.path, [], message="gpgsig -----BEGIN SSH SIGNATURE-----")).verdict is Verdict.UNSIGNED
    )


@pytest.mark.parametrize(
    ("name", "verdict", "words"),
    [
        ("eve", Verdict.UNKNOWN_KEY, ""),
        ("old", Verdict.EXPIRED, "line 3 of the allowed signers: key has expired"),
        ("new", Verdict.NOT_YET, "key is not yet valid"),
        ("files", Verdict.NAMESPACE, "not permitted for use in signature namespace"),
    ],
)
def test_an_ssh_key_that_does_not_count_says_why(world: World, name: str, verdict: Verdict, words: str) -> None:
    """A stranger's key, one that was allowed only before or only from later on, and one for other things than Git."""
    found = world.judged(world.by_ssh(name))
    assert (found.verdict, found.signer) == (verdict, "")
    assert words in found.detail
    assert str(world.folder) not in found.detail


def test_a_key_counts_at_the_time_that_it_was_allowed(world: World) -> None:
    """A commit from before the end of a key's time stays good, so that rotating keys makes no history unusable."""
    early = world.by_ssh("old", at="@1546300800 +0000")
    assert world.judged(early).verdict is Verdict.GOOD


def test_a_date_from_before_the_parents_proves_nothing(world: World) -> None:
    """Whoever has an expired key can date a commit back; an hour is left for clocks that differ."""
    parent = world.by_ssh("ada")
    assert world.judged(world.by_ssh("old", parent=parent, at="@1546300800 +0000")).verdict is Verdict.BACKDATED
    assert world.judged(world.by_ssh("ada", parent=parent, at="@1767321045 +0000")).verdict is Verdict.GOOD


def test_a_certificate_that_has_ended_can_not_date_a_commit_back(world: World, tmp_path: Path) -> None:
    """Certificates are good for hours, and whoever keeps one's key has it for ever: an authority's keys have an end as others do."""
    authority, key = ssh_key(tmp_path / "ca"), ssh_key(tmp_path / "key")
    command = ["ssh-keygen", "-q", "-s", str(authority.path), "-I", "ada", "-n", "ada@example.com"]
    subprocess.run([*command, "-V", "20190101Z:20200101Z", f"{key.path}.pub"], check=True)
    allowed = tmp_path / "allowed"
    allowed.write_text(authority.line("*@example.com", "cert-authority"), encoding="ascii")
    trust = TrustSettings(allowed_signers=str(allowed))
    certified = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key.path}-cert.pub"]
    then, parent = "@1546387200 +0000", world.by_ssh("ada")
    assert world.judged(signed(world.path, certified, at=then), trust).verdict is Verdict.GOOD
    assert world.judged(signed(world.path, certified, at=then, parent=parent), trust).verdict is Verdict.BACKDATED


def test_a_revoked_and_an_expired_openpgp_key_do_not_count(world: World) -> None:
    """Also where the signature was made while they were good."""
    revoked = world.judged((world.folder / "revoked").read_text(encoding="ascii"))
    assert (revoked.verdict, revoked.signer) == (Verdict.REVOKED, "Rex <rex@example.com>")
    assert world.judged(world.by_pgp("old", then="20200101T010000")).verdict is Verdict.EXPIRED


def test_an_openpgp_key_that_is_not_in_the_keyring_is_unknown(world: World) -> None:
    """Its fingerprint is told, by which it can be found; the user's own keyring does not count, which has it."""
    found = world.judged(world.by_pgp("eve"))
    assert found.verdict is Verdict.UNKNOWN_KEY
    assert len(found.key) == 40


@pytest.mark.parametrize("how", ["ssh", "openpgp"])
def test_a_changed_commit_has_a_bad_signature(world: World, how: str) -> None:
    """The signature is of the whole commit: files, parents, people, times and words."""
    good = world.by_ssh("ada") if how == "ssh" else world.by_pgp("ada")
    git = ["git", "-C", str(world.path)]
    data = subprocess.run([*git, "cat-file", "commit", good], check=True, capture_output=True).stdout
    made = subprocess.run(
        [*git, "hash-object", "-t", "commit", "-w", "--stdin"],
        input=data.replace(b"\n\nSign", b"\n\nSigh"), check=True, capture_output=True,
    )  # fmt: skip
    assert world.judged(made.stdout.decode().strip()).verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("head", "verdict"),
    [
        ("-----BEGIN SIGNED MESSAGE-----", Verdict.UNSUPPORTED),
        ("-----BEGIN SSH SIGNATURE-----", Verdict.BAD),
        ("-----BEGIN PGP SIGNATURE-----", Verdict.BAD),
        ("nonsense", Verdict.UNSUPPORTED),
    ],
)
def test_what_is_no_signature_is_not_good(world: World, head: str, verdict: Verdict) -> None:
    """X.509 and whatever else a header may hold."""
    git = ["git", "-C", str(world.path)]
    data = subprocess.run(
        [*git, "cat-file", "commit", signed(world.path, [])], check=True, capture_output=True
    ).stdout.decode()
    forged = data.replace("\n\n", f"\ngpgsig {head}\n AAAA\n -----END-----\n\n", 1)
    made = subprocess.run(
        [*git, "hash-object", "-t", "commit", "-w", "--stdin"], input=forged.encode(), check=True, capture_output=True
    )
    assert world.judged(made.stdout.decode().strip()).verdict is verdict


def test_a_kind_of_key_that_nobody_may_use_is_unknown(world: World) -> None:
    """With only a keyring no ssh key counts, and the other way round."""
    assert world.judged(world.by_ssh("ada"), world.trust(ssh=False)).verdict is Verdict.UNKNOWN_KEY
    assert world.judged(world.by_pgp("ada"), world.trust(pgp=False)).verdict is Verdict.UNKNOWN_KEY


def test_the_repositorys_and_the_users_own_configuration_do_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither another file of signers, nor another keyring, nor a program that says yes to everything."""
    everybody = tmp_path / "everybody"
    everybody.write_text(world.ssh["eve"].line("eve@example.com"), encoding="ascii")
    yes = tmp_path / "yes"
    yes.write_text("#!/bin/sh\necho 'Good \"git\" signature for eve with ED25519 key SHA256:x'\n", encoding="ascii")
    yes.chmod(0o755)
    ssh, pgp = world.by_ssh("eve"), world.by_pgp("eve")
    config = tmp_path / "config"
    config.write_text(
        f'[gpg]\n\tprogram = {yes}\n[gpg "ssh"]\n\tprogram = {yes}\n\tallowedSignersFile = {everybody}\n',
        encoding="ascii",
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GNUPGHOME", str(world.pgp.home))
    own = world.path / "config"
    before = own.read_text(encoding="ascii")
    own.write_text(before + config.read_text(encoding="ascii"), encoding="ascii")
    try:
        assert world.judged(ssh).verdict is Verdict.UNKNOWN_KEY
        assert world.judged(pgp).verdict is Verdict.UNKNOWN_KEY
    finally:
        own.write_text(before, encoding="ascii")


@pytest.mark.parametrize(("how", "program"), [("ssh", "ssh-keygen"), ("openpgp", "gpg")])
def test_a_missing_program_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, program: str
) -> None:
    """Nothing is good because it could not be looked at."""
    commit = world.by_ssh("ada") if how == "ssh" else world.by_pgp("ada")
    for name in ("git", "cat"):
        where = subprocess.run(["which", name], check=True, capture_output=True, text=True).stdout.strip()
        (tmp_path / name).symlink_to(where)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = world.judged(commit)
    assert found.verdict is Verdict.UNVERIFIED
    assert f"{program} is not installed" in found.detail


def test_signers_that_cant_be_read_are_an_error(world: World, tmp_path: Path) -> None:
    """It fails closed: a file that is gone must not mean that everybody may."""
    for trust in (
        TrustSettings(allowed_signers=str(tmp_path / "gone")),
        TrustSettings(allowed_signers=str(tmp_path)),
        TrustSettings(keyring=str(tmp_path / "gone")),
        TrustSettings(keyring=str(world.signers)),
        TrustSettings(keyring=str(tmp_path)),
    ):
        with pytest.raises(SignersError, match="trust-signers"):
            read_signers(trust)


def test_signers_are_alike_if_their_files_are(world: World) -> None:
    """By what judgements may be remembered."""
    one, other = read_signers(world.trust()), read_signers(world.trust())
    assert one.identity == other.identity
    assert one.identity != read_signers(world.trust(pgp=False)).identity
    assert one.identity != replace(one, ssh=(one.ssh or b"") + b"#").identity


def test_our_own_key_is_tried_without_a_trace(world: World) -> None:
    """What a commit of ours would be is known before there is one, and the repository is as it was."""
    before = sorted(str(path) for path in world.path.rglob("*"))
    signers = read_signers(world.trust())
    verdicts = {}
    for name, signing in {
        "none": None,
        "ada": Signing(format="ssh", key=str(world.ssh["ada"].path)),
        "eve": Signing(format="ssh", key=str(world.ssh["eve"].path)),
    }.items():
        with world.open(GitSettings(cache=world.folder / "cache", signing=signing)) as repository:
            verdicts[name] = repository.own_signature(signers, at=AT).verdict
    assert verdicts == {"none": Verdict.UNSIGNED, "ada": Verdict.GOOD, "eve": Verdict.UNKNOWN_KEY}
    assert sorted(str(path) for path in world.path.rglob("*")) == before


def test_a_keyring_that_may_only_be_read_is_enough(world: World) -> None:
    """As a mounted secret is: GnuPG writes locks and a trust database beside keys, and must not want to."""
    before = sorted(path.name for path in world.keyring.iterdir())
    assert world.judged(world.by_pgp("ada")).verdict is Verdict.GOOD
    assert sorted(path.name for path in world.keyring.iterdir()) == before
