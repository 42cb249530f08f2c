"""Writes over HTTP where commits have to be signed: the daemon's signature vouches for the whole tree, so also for what is below it."""

from __future__ import annotations

from pathlib import Path

from reconciler.clock import SystemClock
from reconciler.gitrepo import open_repository
from reconciler.settings import GitSettings, Identity, Signing, TrustSettings
from reconciler.web import Role
from tests.api.premises import REVIEWS, premises
from tests.cycle.editing.office import split
from tests.e2e.rig import git
from tests.gitrepo.signing import ssh_key


def test_nothing_is_signed_on_top_of_what_nobody_signed(tmp_path: Path) -> None:
    """Whoever may push and not sign would only have to wait for somebody's write to have everything applied; a proposal can be pushed too."""
    key, signers, folder = ssh_key(tmp_path / "key"), tmp_path / "signers", tmp_path / "policies.git"
    signers.write_text(key.line("daemon@x.test"), encoding="ascii")
    with premises(
        tmp_path, trust=TrustSettings(allowed_signers=str(signers)), signing=Signing(key=str(key.path))
    ) as made:
        token = made.token(Role.READ, Role.WRITE, Role.OPERATE)
        proposed = made.put(REVIEWS, split(11), token, query="?propose=true", if_match=made.etag(token)).json["commit"]
        written = made.put(REVIEWS, split(11), token, if_match=made.etag(token)).json["commit"]
        signed = [
            commit for commit in (proposed, written) if "gpgsig" in git("-C", str(folder), "cat-file", "-p", commit)
        ]
        assert signed == [written], "what nobody has reviewed has no signature to be pushed with"
        stranger = GitSettings(author=Identity(name="Eve", email="eve@x.test"))
        with open_repository(str(folder), stranger) as theirs:
            pushed = theirs.commit(
                "main",
                expect=made.tip().id,
                files={"policies/eve.yaml": b"# whatever\n"},
                message="whatever\n",
                at=SystemClock().now(),
            )
        for query in ("", "?propose=true"):
            reply = made.put(REVIEWS, split(12), token, query=query, if_match=made.etag(token))
            assert (reply.status, reply.code) == (409, "commit-unsigned")
        reply = made.ask("POST", "/v1/rollouts/default/reviews/promote", token=token)
        assert (reply.status, reply.code) == (409, "commit-unsigned")
        assert made.put(REVIEWS, split(12), token, query="?dry_run=true", if_match="*").status == 200
        assert made.tip().id == pushed


def test_a_key_that_does_not_count_writes_nothing(tmp_path: Path) -> None:
    """As for a daemon without a key: its commit would be a head that it refuses itself."""
    key, other = ssh_key(tmp_path / "key"), ssh_key(tmp_path / "other")
    signers = tmp_path / "signers"
    signers.write_text(other.line("somebody@x.test"), encoding="ascii")
    with premises(
        tmp_path, trust=TrustSettings(allowed_signers=str(signers)), signing=Signing(key=str(key.path))
    ) as made:
        token, before = made.token(Role.READ, Role.WRITE), made.tip().id
        assert made.put(REVIEWS, split(11), token, if_match=made.etag(token)).code == "policy-refused"
        assert made.tip().id == before
