"""Where commits have to be signed, a preview says which of a pull request's count, by signers that it can't choose itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ci.conftest import Preview
from tests.ci.forges import Upstream, git, github
from tests.gitrepo.signing import SshKey, ssh_key

TO_80 = (("weight: 100 ", "weight: 20 "), ("weight: 0 ", "weight: 80 "))
MEANT = "I mean it\n\nReconcile-Allow: guard-weight-increase"
FILE = ".github/allowed-signers"


@pytest.fixture
def ada(tmp_path: Path) -> SshKey:
    """Who may sign."""
    return ssh_key(tmp_path / "ada")


def sign(upstream: Upstream, key: SshKey, message: str = "Signed") -> str:
    """Commit what is there, signed."""
    git(upstream.path, "add", "-A")
    options = [*key.options, "-c", "commit.gpgsign=true"]
    git(upstream.path, *options, "commit", "-q", "--allow-empty", "-m", message)
    return git(upstream.path, "rev-parse", "HEAD")


def test_an_acknowledgement_counts_only_from_who_may(
    upstream: Upstream, preview: Preview, ada: SshKey, tmp_path: Path
) -> None:
    """The pass after the merge believes no other, so neither does the preview; what has to be signed then is said, too."""
    signers = tmp_path / "signers"
    signers.write_text(ada.line("ada@example.com"), encoding="ascii")
    asked = ("--base", "main", "--head", "topic", "--allowed-signers", str(signers))
    upstream.topic("topic")
    upstream.edit(*TO_80)
    unsigned = upstream.commit(MEANT)
    ran = preview(upstream.path, *asked)
    assert (ran.code, ran.document["verdict"], ran.document["unsigned"]) == (3, "refused", True)
    assert {code for code, *_ in ran.messages} == {"guard-weight-increase", "commit-unsigned"}
    assert "Nobody who may has signed its head" in ran.comment.splitlines()[0]
    assert "its Reconcile-Allow: guard-weight-increase does not count; neither would it as the head" in ran.comment
    assert "it is the merge that has to be signed" in ran.comment
    assert preview(upstream.path, *asked[:4]).code == 0

    sign(upstream, ada)
    ran = preview(upstream.path, *asked)
    assert (ran.code, ran.document["unsigned"]) == (3, False)
    (said,) = [line for line in ran.comment.splitlines() if "commit-unsigned" in line]
    assert unsigned[:12] in said
    sign(upstream, ada, MEANT)
    assert preview(upstream.path, *asked).code == 0


def test_a_pull_request_does_not_choose_its_signers(
    upstream: Upstream, preview: Preview, ada: SshKey, tmp_path: Path
) -> None:
    """A file of the checkout is read as the base has it, also by a link; one that the base has not is none."""
    eve = ssh_key(tmp_path / "eve")
    file = upstream.path / FILE
    upstream.topic("topic")
    file.parent.mkdir()
    file.write_text(eve.line("eve@example.com"), encoding="ascii")
    sign(upstream, eve)
    asked = ("--base", "main", "--head", "topic", "--allowed-signers")
    ran = preview(upstream.path, *asked, str(file))
    assert (ran.code, ran.document["verdict"], [code for code, *_ in ran.messages]) == (1, "failed", ["trust-signers"])
    upstream.main()
    file.parent.mkdir(exist_ok=True)
    file.write_text(ada.line("ada@example.com"), encoding="ascii")
    upstream.commit("Signers")
    upstream.topic("eves")
    file.write_text(eve.line("eve@example.com"), encoding="ascii")
    sign(upstream, eve, MEANT)
    link = tmp_path / "link"
    link.symlink_to(file)
    for name in (file, link):
        ran = preview(upstream.path, "--base", "main", "--head", "eves", "--allowed-signers", str(name))
        assert (ran.document["unsigned"], [code for code, *_ in ran.messages]) == (True, ["commit-signer"])
    ran = preview(upstream.path, *asked[:4], "--signers-keyring", str(file.parent))
    assert (ran.code, [code for code, *_ in ran.messages]) == (1, ["trust-signers"])


def test_the_head_of_a_merge_group_is_what_main_becomes(
    upstream: Upstream, preview: Preview, ada: SshKey, tmp_path: Path
) -> None:
    """There the queue's own commit has to be signed, and nothing that is signed later helps: the preview is red."""
    signers = tmp_path / "signers"
    signers.write_text(ada.line("ada@example.com"), encoding="ascii")
    base = git(upstream.path, "rev-parse", "main")
    upstream.topic("queue")
    heads = (upstream.edit(("simple: LEAST_REQUEST", "simple: RANDOM")), sign(upstream, ada))
    for head, code, verdict in zip(heads, (1, 0), ("invalid", "changes"), strict=True):
        group = {"base_ref": "refs/heads/main", "base_sha": base, "head_sha": head, "head_ref": "refs/heads/queue"}
        environ = github(tmp_path, "merge_group", {"merge_group": group})
        git(upstream.path, "remote", "add", f"origin-{code}", f"file://{upstream.path}")
        ran = preview(upstream.path, "--allowed-signers", str(signers), "--remote", f"origin-{code}", environ=environ)
        assert (ran.code, ran.document["verdict"]) == (code, verdict)
        assert [item for item, *_ in ran.messages] == (["commit-unsigned"] if code else [])
