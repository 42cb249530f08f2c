from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cycle.chronology import Chronology, CursorError, Kind, UnknownCommitError
from reconciler.gitrepo import Repository, open_repository
from reconciler.settings import GitSettings
from tests.e2e.rig import clean_environment, git

RECORD = "reconciler/record"
RECEIPT = "live on 1/1 proxies\n\nPolicy-Commit: {0}\nPlan-Digest: d\nOutcome: complete\nProxies: 1/1"


class History:
    """A repository whose commits are a second apart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 1_800_000_000
        git("init", "-q", "-b", "main", str(folder))

    def git(self, *arguments: str) -> str:
        return git("-C", str(self.folder), *arguments, quiet=True).strip()

    def commit(self, message: str, content: bytes, *, branch: str = "main", file: str = "policies/a.yaml") -> str:
        """One commit that writes a file."""
        self.seconds += 1
        if branch not in self.git("branch", "--format=%(refname:short)").split() and branch != "main":
            self.git("checkout", "-q", "--orphan", branch)
            self.git("rm", "-rfq", ".")
        elif branch != "main" or self.git("branch", "--list", "main"):
            self.git("checkout", "-q", branch)
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.git("add", "-A")
        person = ["-c", "user.name=Pat", "-c", "user.email=pat@example.com", "-c", "commit.gpgsign=false"]
        dated = clean_environment() | {"GIT_COMMITTER_DATE": f"{self.seconds} +0000"}
        command = ["git", "-C", str(self.folder), *person, "commit", "-q", "--allow-empty", "-m", message]
        subprocess.run(command, check=True, env=dated)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = History(tmp_path_factory.mktemp("history") / "repo")
    for number in range(4):
        commit = made.commit(f"Change {number}", f"number: {number}\n".encode())
        made.commit(RECEIPT.format(commit), f"{number}\n".encode(), branch=RECORD, file="proxies/default/a.yaml")
    made.commit("canary(a): v2 1% -> 5% (step 2/3)\n\nRollout-Decision: advance", b"number: 9\n")
    made.commit("Elsewhere", b"secret\n", branch="elsewhere")
    made.git("checkout", "-q", "main")
    return made


@pytest.fixture
def repository(history: History) -> Iterator[Repository]:
    with open_repository(str(history.folder), GitSettings()) as opened:
        yield opened


def test_pages_hold_everything_once_in_the_order_of_time(repository: Repository) -> None:
    """Whatever the size of a page, its reader sees each commit of both branches once, newest first."""
    chronology = Chronology(repository, "main")
    whole = chronology.page(RECORD, before="", limit=50)
    assert whole.following == ""
    assert len(whole.entries) == 9
    times = [entry.info.at for entry in whole.entries]
    assert times == sorted(times, reverse=True)
    for limit in (1, 2, 5):
        found, before = [], ""
        while True:
            page = chronology.page(RECORD, before=before, limit=limit)
            assert len(page.entries) <= limit
            found += [entry.info.id for entry in page.entries]
            if not (before := page.following):
                break
        assert found == [entry.info.id for entry in whole.entries]


def test_each_entry_says_what_it_is(repository: Repository) -> None:
    """Steps of rollouts, changes of people and receipts are told apart."""
    kinds = [entry.kind for entry in Chronology(repository, "main").page(RECORD, before="", limit=3).entries]
    assert sorted(kinds) == [Kind.CHANGE, Kind.RECEIPT, Kind.STEP]


def test_receipts_that_only_note_what_was_measured_are_told_apart(tmp_path: Path) -> None:
    """They are many, and what is live is the same after them."""
    made = History(tmp_path / "repo")
    commit = made.commit("Start", b"a: 1\n")
    for number, file in enumerate(("proxies/default/a.yaml", "rollouts/default/r.yaml", "proxies/default/a.yaml")):
        made.commit(RECEIPT.format(commit), f"{number}\n".encode(), branch=RECORD, file=file)
    made.commit("By hand", b"5\n", branch=RECORD, file="rollouts/default/r.yaml")
    with open_repository(str(made.folder), GitSettings()) as opened:
        page = Chronology(opened, "main").page(RECORD, before="", limit=10)
    kinds = [entry.kind for entry in page.entries if entry.recorded]
    assert kinds == [Kind.OTHER, Kind.RECEIPT, Kind.EVIDENCE, Kind.RECEIPT]


def test_a_repository_without_a_record_has_a_timeline_too(repository: Repository) -> None:
    """Before the first receipt there is only one branch."""
    page = Chronology(repository, "main").page("no/such/branch", before="", limit=50)
    assert [entry.recorded for entry in page.entries] == [False] * 5


@pytest.mark.parametrize("before", ["x", "-.-", "0" * 40 + ".-", "HEAD.-", "../../x"])
def test_a_page_that_is_none_is_said_to_be_none(repository: Repository, before: str) -> None:
    """A cursor is taken only as it was given."""
    with pytest.raises(CursorError):
        Chronology(repository, "main").page(RECORD, before=before, limit=5)


def test_other_branches_are_not_shown(history: History, repository: Repository) -> None:
    """Whoever may read policies may not read what was never merged."""
    secret = history.git("rev-parse", "elsewhere")
    chronology = Chronology(repository, "main")
    with pytest.raises(CursorError):
        chronology.page(RECORD, before=f"{secret}.-", limit=5)
    for name in (secret, "elsewhere", "HEAD", "", "0" * 40, "--all"):
        with pytest.raises(UnknownCommitError):
            chronology.commit(name, RECORD)


def test_a_commit_shows_what_it_changed(history: History, repository: Repository) -> None:
    """Lines that went and came, of the first commit too."""
    head = history.git("rev-parse", "main")
    entry, patch = Chronology(repository, "main").commit(head, RECORD)
    assert entry.info.id == head
    (file,) = patch.files
    assert (file.path, file.action, file.text) == ("policies/a.yaml", "update", "@@ -1 +1 @@\n-number: 3\n+number: 9\n")
    first = history.git("rev-list", "--max-parents=0", "main")
    (made,) = Chronology(repository, "main").commit(first, RECORD)[1].files
    assert (made.action, made.text) == ("create", "@@ -0,0 +1 @@\n+number: 0\n")
    receipt = history.git("rev-parse", RECORD)
    (proxy,) = Chronology(repository, "main").commit(receipt, RECORD)[1].files
    assert proxy.path == "proxies/default/a.yaml"


def test_what_nobody_would_read_is_named_and_not_shown(tmp_path: Path) -> None:
    """A commit of many or huge or binary files costs what a small one does."""
    made = History(tmp_path / "repo")
    made.commit("Start", b"a: 1\n")
    (made.folder / "policies/huge.yaml").write_bytes(b"x: 1\n" * 100_000)
    (made.folder / "policies/binary.bin").write_bytes(b"\0\1\2")
    (made.folder / "policies/\xff-\u202e.yaml").write_bytes(b"odd: 1\n")
    (made.folder / "other").mkdir()
    (made.folder / "other/secret.txt").write_bytes(b"not a policy\n")
    for number in range(120):
        (made.folder / f"policies/z{number:03}.yaml").write_bytes(b"n: 1\n")
    commit = made.commit("Much", b"a: 2\n")
    with open_repository(str(made.folder), GitSettings()) as opened:
        patch = Chronology(opened, "main").commit(commit, RECORD)[1]
    texts = {item.path: item.text for item in patch.files}
    assert (len(patch.files), patch.more) == (100, 24)
    assert texts["policies/a.yaml"] == "@@ -1 +1 @@\n-a: 1\n+a: 2\n"
    assert (texts["policies/huge.yaml"], texts["policies/binary.bin"]) == ("", "")
    assert "other/secret.txt" not in texts
