from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.rig import Rig, git


def test_receipts_are_by_whom_the_command_says_and_signed_with_its_key(rig: Rig, tmp_path: Path) -> None:
    """Author, committer and an ssh signature are set by options, and Git verifies the signature."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    ran = rig.command(
        "--author", "Ada <ada@example.com>", "--committer", "Bot <bot@example.com>", "--signing-key", str(key)
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert rig.record("%an <%ae>, %cn <%ce>") == "Ada <ada@example.com>, Bot <bot@example.com>\n"
    signers = tmp_path / "signers"
    signers.write_text(f"bot@example.com {key.with_suffix('.pub').read_text()}")
    where = ["-C", str(rig.repo), "-c", f"gpg.ssh.allowedSignersFile={signers}"]
    git(*where, "verify-commit", "reconciler/record", quiet=True)  # fails, and the test with it, if it is not signed


def test_a_signing_key_that_cannot_sign_is_an_error_and_no_receipt_is_unsigned(rig: Rig, tmp_path: Path) -> None:
    """A receipt that should be signed is never written unsigned; the next pass with a good key writes it."""
    ran = rig.command("--signing-key", str(tmp_path / "missing"))
    assert ran.code == 1
    assert "error[git-signing]" in ran.err
    assert rig.receipts() == []
    assert rig.command().code == 0
    assert len(rig.receipts()) == 1
