"""Signed commits, with a real Envoy: what nobody who may has signed changes nothing, and says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.cycle import Ask, Report
from reconciler.settings import Signing, TrustSettings
from tests.e2e.canary import ROLLOUT
from tests.e2e.rig import Rig, git
from tests.gitrepo.signing import SshKey, ssh_key


@dataclass(frozen=True)
class Signed:
    """A mesh whose policies count by ada's signature."""

    rig: Rig
    ada: SshKey
    eve: SshKey
    signers: str

    def commit(self, files: dict[str, str], message: str, key: SshKey | None = None) -> str:
        """As `Rig.commit`, signed with a key or not at all."""
        here = ["-C", str(self.rig.clone)]
        git(*here, "pull", "-q", "--ff-only", "origin", "main", quiet=True)
        for path, text in files.items():
            (self.rig.clone / path).write_text(text)
        git(*here, "add", "-A")
        options = [*key.options, "-c", "commit.gpgsign=true"] if key else []
        git(*here, *options, "commit", "-q", "--allow-empty", "-m", message)
        git(*here, "push", "-q", "origin", "main", quiet=True)
        return git(*here, "rev-parse", "HEAD").strip()

    def run(self, *, signing: SshKey | None = None, **ask: Any) -> Report:
        """One pass that requires signatures."""
        chosen = settings(repo=str(self.rig.repo), ref="main", admin_timeout="2s")
        ours = Signing(format="ssh", key=str(signing.path)) if signing else None
        chosen = replace(
            chosen,
            trust=TrustSettings(allowed_signers=self.signers),
            git=replace(chosen.git, signing=ours),
        )
        with Session(chosen) as session:
            return session.reconciler().run(Ask(**ask))


@pytest.fixture
def signed(rig: Rig) -> Signed:
    """With v2 at 10%, signed and live."""
    ada, eve = ssh_key(rig.folder / "ada"), ssh_key(rig.folder / "eve")
    signers = rig.folder / "allowed"
    signers.write_text(ada.line("ada@example.com"))
    found = Signed(rig, ada, eve, str(signers))
    found.commit(rig.routes(90, 10), "v2 at 10%", ada)
    assert found.run().exit_code() == 0
    return found


def codes(report: Report) -> list[str]:
    return [item.code for item in report.errors]


def test_what_nobody_who_may_has_signed_is_not_applied_and_drift_is_still_corrected(signed: Signed) -> None:
    """An unsigned head and a stranger's are refused loudly, dry runs say so too, and a signed one on top vouches for them."""
    rig = signed.rig
    good = rig.receipts()[0]
    unsigned = signed.commit(rig.routes(50, 50), "v2 at 50%")
    report = signed.run()
    assert (report.exit_code(), codes(report)) == (1, ["commit-unsigned"])
    assert report.head == unsigned
    assert report.pending
    assert codes(signed.run(dry_run=True)) == ["commit-unsigned"]
    rig.share_is(10, requests=800)

    rig.overwrite("edge", "lds.pb", lambda _: b"")
    rig.wait(lambda: not rig.ask("edge", "/listeners").strip(), "the listener is gone")
    report = signed.run()
    assert codes(report) == ["commit-unsigned"]
    assert report.outcomes
    rig.share_is(10, requests=800)

    signed.commit(rig.routes(60, 40), "v2 at 40%", signed.eve)
    assert codes(signed.run()) == ["commit-signer"]
    assert rig.receipts()[0] == good

    signed.commit(rig.routes(80, 20), "v2 at 20%", signed.ada)
    assert signed.run().exit_code() == 0
    rig.share_is(20, requests=800)


def test_a_receipt_that_names_an_unsigned_commit_is_not_followed(signed: Signed) -> None:
    """Others can write to the record branch too; what it names is applied only if somebody who may has signed it."""
    rig = signed.rig
    signed.commit(rig.routes(50, 50), "v2 at 50%")
    assert rig.run().exit_code() == 0  # somebody who doesn't ask for signatures writes a receipt of it
    signed.commit(rig.routes(40, 60), "v2 at 60%")
    rig.share_is(50, requests=800)

    report = signed.run()

    assert codes(report) == ["commit-unsigned", "commit-unsigned"]
    assert not report.outcomes
    assert '"v2 at 60%"' in report.errors[0].message
    assert "so it is not applied" in report.errors[0].message
    assert '"v2 at 50%"' in report.errors[1].message
    assert "the last good commit" in report.errors[1].message


def test_a_rollout_takes_no_step_that_would_be_refused(signed: Signed) -> None:
    """Without a key that counts no commit of ours is made, which the pass says; with one the step is signed and applied."""
    rig = signed.rig
    rollout = ROLLOUT % {"fields": "", "steps": "  - setWeight: 25\n  - pause: {}"}
    head = signed.commit({**rig.routes(100, 0), "policies/rollout.yaml": rollout}, "A canary", signed.ada)
    assert signed.run().exit_code() == 0  # a run begins on what is proven to be live
    for key in (None, signed.eve):
        report = signed.run(signing=key)
        assert report.exit_code() == 0
        assert report.plan is not None
        (note,) = [item for item in report.plan.warnings if item.code == "rollout-waiting"]
        assert "[trust-own-key]" in note.message
        assert git("-C", str(rig.repo), "rev-parse", "main").strip() == head

    report = signed.run(signing=signed.ada)

    assert report.exit_code() == 0
    assert len(report.taken) == 1
    rig.share_is(25, requests=800)
    assert signed.run(signing=signed.ada).errors == ()


@pytest.mark.long
def test_an_offline_preview_says_what_would_not_be_applied(signed: Signed) -> None:
    """A comparison of commits shows the plan as well, for whoever reviews it before it is merged and signed."""
    rig = signed.rig
    signed.commit(rig.routes(80, 20), "v2 at 20%", signed.eve)
    said = rig.command("--dry-run", "--against", "main~1", "--allowed-signers", signed.signers, "--output", "json")
    assert said.code == 1, said.err
    assert [item["code"] for item in said.json()["errors"]] == ["commit-signer"]
    assert said.json()["summary"]["update"] == 1
