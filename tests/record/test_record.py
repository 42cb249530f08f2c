from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.gitrepo import PushRefusedError, RaceLostError, Repository, open_repository
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind
from reconciler.record import Record, RecordRewoundError, RecordUnreadableError
from reconciler.settings import GitSettings
from tests.record.conftest import AT, BRANCH, Git, Open, draft, live

A, B = Key("default", "a"), Key("other", "b")


def test_there_is_no_receipt_before_the_first(repository: Repository) -> None:
    """A fleet that was never touched has no record, which is no error."""
    record = Record(repository, BRANCH, attempts=3)

    assert record.latest() is None
    assert list(record.history(AT)) == []


def test_a_receipt_is_an_orphan_commit_that_people_can_read(repository: Repository, policy: str, git: Git) -> None:
    """Subject, trailers and one file for each proxy, on a branch that has nothing to do with main."""
    failed = replace(live(""), outcome=OutcomeKind.UNREACHABLE, proof="none", detail="connection refused")

    Record(repository, BRANCH, attempts=3).write(draft(policy, proxies={A: live(), B: failed}), at=AT)

    assert git("log", "--format=%P|%s|%aI%n%b", BRANCH).split("\n") == [
        "|reviews v2 5% -> 25%|2026-01-02T03:04:05+00:00",
        f"Policy-Commit: {policy}",
        f"Plan-Digest: {'ab' * 32}",
        "Outcome: partial",
        "Proxies: 1/2",
    ]
    assert git("ls-tree", "-r", "--name-only", BRANCH).split() == ["proxies/default/a.yaml", "proxies/other/b.yaml"]
    assert git("show", f"{BRANCH}:proxies/default/a.yaml") == "view: v1\nproof: exact\noutcome: applied"
    assert git("show", f"{BRANCH}:proxies/other/b.yaml").endswith("outcome: unreachable\ndetail: connection refused")


def test_what_was_written_is_what_is_read(bare: Path, repository: Repository, policy: str, opened: Open) -> None:
    """The receipt that a write returns is the one that any other process reads."""
    wanted = draft(policy)

    written = Record(repository, BRANCH, attempts=3).write(wanted, at=AT + timedelta(microseconds=5))

    assert written is not None
    assert written == Record(opened(str(bare)), BRANCH, attempts=3).latest()
    assert (written.at, written.outcome, dict(written.proxies)) == (AT, "applied", dict(wanted.proxies))
    assert (written.policy_commit, written.plan_digest, written.subject) == (policy, "ab" * 32, wanted.subject)


def test_nothing_new_is_not_written(repository: Repository, policy: str) -> None:
    """The same state is one receipt, whatever its subject, digest and time."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    again = replace(draft(policy, subject="another plan"), plan_digest="cd")

    assert record.write(again, at=AT + timedelta(days=1)) is None
    assert record.latest() == first


def test_a_policy_commit_is_news_only_if_policies_differ(repository: Repository, policy: str) -> None:
    """A commit that touched other files says nothing; one that touched a policy or a template does, with an equal tree."""
    record = Record(repository, BRANCH, attempts=3)
    record.write(draft(policy), at=AT)
    words = repository.commit("main", expect=policy, files={"README": b"x"}, message="Words", at=AT)
    assert record.write(draft(words), at=AT) is None

    template = repository.commit("main", expect=words, files={"envoy-templates/a": b"x"}, message="Template", at=AT)
    second = record.write(draft(template), at=AT)

    assert second is not None
    assert second.policy_commit == template
    assert repository.commit_info(second.commit).parents != ()


def test_every_part_of_a_proxys_state_is_news(repository: Repository, policy: str) -> None:
    """View, proof, outcome, detail, a new proxy and one less: each is a receipt of its own."""
    record = Record(repository, BRANCH, attempts=3)
    states = [
        {A: live()},
        {A: live("v2")},
        {A: live("v2", proof="confirmed")},
        {A: live("v2", outcome=OutcomeKind.LATE)},
        {A: live("v2", outcome=OutcomeKind.LATE, detail="x")},
        {A: live("v2"), B: live()},
        {B: live()},
        {},
    ]

    receipts = [record.write(draft(policy, proxies=state), at=AT) for state in states]

    assert [dict(receipt.proxies) for receipt in receipts if receipt] == states
    assert [receipt.outcome for receipt in receipts if receipt].count("partial") == 2
    assert list(record.history(AT - timedelta(1))) == receipts[::-1]


def test_other_folders_of_the_record_stay(repository: Repository, policy: str) -> None:
    """A receipt replaces the proxies and nothing else: rollouts keep their evidence on this branch."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    assert first
    files = {"rollouts/default/reviews.yaml": b"step: 1\n"}
    repository.commit(BRANCH, expect=first.commit, files=files, message=draft(policy).message(), at=AT)

    second = record.write(draft(policy, proxies={}), at=AT)

    assert second
    assert [file.path for file in repository.tree(second.commit).files("")] == ["rollouts/default/reviews.yaml"]


def test_history_ends_where_it_is_told(repository: Repository, policy: str) -> None:
    """Receipts are newest first, none older than asked for."""
    record = Record(repository, BRANCH, attempts=3)
    for day in range(3):
        record.write(draft(policy, proxies={A: live(str(day))}), at=AT + timedelta(days=day))

    found = [receipt.proxies[A].view for receipt in record.history(AT + timedelta(hours=1))]

    assert found == ["2", "1"]


def test_history_passes_over_what_is_no_receipt(repository: Repository, policy: str) -> None:
    """A person's commit in between hides no receipt."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    assert first
    repository.commit(BRANCH, expect=first.commit, files={"note": b""}, message="By hand", at=AT)
    second = record.write(draft(policy), at=AT)

    assert list(record.history(AT)) == [second, first]


BROKEN = {
    "no-yaml": {"proxies/default/a.yaml": b"view: [\n"},
    "no-mapping": {"proxies/default/a.yaml": b"- view\n"},
    "empty": {"proxies/default/a.yaml": b""},
    "two-documents": {"proxies/default/a.yaml": b"a: b\n---\na: b\n"},
    "missing-key": {"proxies/default/a.yaml": b"view: a\nproof: exact\n"},
    "unknown-key": {"proxies/default/a.yaml": b"view: a\nproof: exact\noutcome: applied\nmore: x\n"},
    "no-text": {"proxies/default/a.yaml": b"view: 1\nproof: exact\noutcome: applied\n"},
    "unknown-outcome": {"proxies/default/a.yaml": b"view: a\nproof: exact\noutcome: fine\n"},
    "foreign-file": {"proxies/default/a.txt": b""},
    "too-high": {"proxies/a.yaml": b"view: a\nproof: exact\noutcome: applied\n"},
    "too-deep": {"proxies/default/a/b.yaml": b"view: a\nproof: exact\noutcome: applied\n"},
    "odd-name": {"proxies/default/-a.yaml": b"view: a\nproof: exact\noutcome: applied\n"},
}


@pytest.mark.parametrize("files", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_and_then_replaced(repository: Repository, policy: str, files: dict[str, bytes]) -> None:
    """What people broke is an error with its file and commit, never an empty receipt; the next receipt heals it."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    assert first
    broken = repository.commit(BRANCH, expect=first.commit, files=files, message=draft(policy).message(), at=AT)

    with pytest.raises(RecordUnreadableError) as caught:
        record.latest()
    assert caught.value.diagnostics[0].file == next(iter(files))
    assert broken in caught.value.message
    assert list(record.history(AT)) == [first]
    healed = record.write(draft(policy), at=AT)

    assert healed is not None
    assert record.latest() == healed
    assert dict(healed.proxies) == dict(draft(policy).proxies)


@pytest.mark.parametrize(
    "message",
    [
        "By hand",
        "x\n\nPolicy-Commit: main\nPlan-Digest: ab\nOutcome: applied",
        f"x\n\nPolicy-Commit: {'1' * 40}\nOutcome: applied",
        f"x\n\nPolicy-Commit: {'1' * 40}\nPlan-Digest: ab\nOutcome: good",
        f"x\n\nPolicy-Commit: {'1' * 40}\nPolicy-Commit: {'2' * 40}\nPlan-Digest: ab\nOutcome: applied",
    ],
)
def test_a_tip_that_is_no_receipt_is_named_and_written_over(repository: Repository, policy: str, message: str) -> None:
    """A commit by hand with the right files and the wrong words is no receipt; the next one goes on top of it."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    assert first
    by_hand = repository.commit(BRANCH, expect=first.commit, files={}, message=message, at=AT)

    with pytest.raises(RecordUnreadableError, match=by_hand):
        record.latest()
    healed = record.write(draft(policy), at=AT)

    assert healed is not None
    assert repository.commit_info(healed.commit).parents == (by_hand,)


def test_a_symlink_in_the_record_is_not_followed(repository: Repository, policy: str, git: Git, bare: Path) -> None:
    """A link in the place of a file, or of the whole folder, is refused and then replaced."""
    record = Record(repository, BRANCH, attempts=3)
    (bare / "message").write_text(draft(policy).message())
    git("update-index", "--add", "--cacheinfo", f"120000,{git('hash-object', '-w', 'description')},proxies")
    commit = git("commit-tree", "-F", "message", git("write-tree"))
    git("update-ref", f"refs/heads/{BRANCH}", commit)

    with pytest.raises(RecordUnreadableError, match="proxies at commit"):
        record.latest()
    assert record.write(draft(policy), at=AT) == record.latest()


def test_a_policy_commit_that_is_gone_is_news(repository: Repository, policy: str) -> None:
    """If what was applied is not there any more (a forced push, a shallow clone), it can't be the same."""
    record = Record(repository, BRANCH, attempts=3)
    record.write(draft("1" * 40), at=AT)

    assert record.write(draft(policy), at=AT) is not None


def test_a_record_that_vanished_is_reported_until_it_is_back(repository: Repository, policy: str, git: Git) -> None:
    """A branch that was deleted under a running process is never begun anew in silence; a new process may."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    assert first
    git("update-ref", "-d", f"refs/heads/{BRANCH}")

    for _ in range(2):
        with pytest.raises(RecordRewoundError, match="is gone") as caught:
            record.write(draft(policy), at=AT)
        assert first.commit in caught.value.message
    assert record.latest() is None
    assert repository.branch(BRANCH) is None

    git("update-ref", f"refs/heads/{BRANCH}", first.commit)
    assert record.write(draft(policy), at=AT) is None
    git("update-ref", "-d", f"refs/heads/{BRANCH}")
    assert Record(repository, BRANCH, attempts=3).write(draft(policy), at=AT) is not None


def test_a_record_that_was_rewound_is_reported_and_still_read(repository: Repository, policy: str, git: Git) -> None:
    """Receipts never gate a pass: the rewound branch is read as it is, and only writing to it is refused."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    second = record.write(draft(policy, proxies={A: live("v9")}), at=AT)
    assert first
    assert second
    git("update-ref", f"refs/heads/{BRANCH}", first.commit)

    assert record.latest() == first
    with pytest.raises(RecordRewoundError, match="was rewound") as caught:
        record.write(draft(policy, proxies={}), at=AT)
    assert f"{second.commit}:refs/heads/{BRANCH}" in caught.value.diagnostics[0].hint
    git("push", "-q", ".", f"{second.commit}:refs/heads/{BRANCH}")
    assert record.write(draft(policy, proxies={}), at=AT) is not None


def test_a_lost_race_is_decided_anew(bare: Path, policy: str, opened: Open, git: Git) -> None:
    """After a lost race the new tip is read: a receipt that somebody else wrote in our words is not written twice."""
    url = f"file://{bare}"
    ours, theirs = (Record(opened(url), BRANCH, attempts=3, sleep=lambda _: None) for _ in range(2))
    theirs.write(draft(policy), at=AT)

    assert ours.write(draft(policy, subject="the same state"), at=AT) is None
    assert git("rev-list", "--count", BRANCH) == "1"
    written = ours.write(draft(policy, proxies={A: live("v2")}), at=AT)
    assert theirs.write(draft(policy, proxies={B: live("v3")}), at=AT) is not None
    assert written
    assert git("rev-list", "--count", BRANCH) == "3"


def test_races_are_given_up_after_the_attempts(bare: Path, policy: str, opened: Open, git: Git) -> None:
    """A writer that always loses says so, after as many attempts and pauses as it was given."""
    repository = opened(f"file://{bare}")
    pauses: list[float] = []
    record = Record(repository, BRANCH, attempts=3, sleep=pauses.append)
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'failed to update ref' >&2\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(PushRefusedError):
        record.write(draft(policy), at=AT)
    assert pauses == []

    moving = f"touch {bare}/refs/heads/reconciler/record.lock"
    hook.write_text(f"#!/bin/sh\nmkdir -p {bare}/refs/heads/reconciler\n{moving}\n")
    with pytest.raises(RaceLostError):
        record.write(draft(policy), at=AT)
    assert len(pauses) == 2
    assert all(0 <= pause <= 0.5 for pause in pauses)
    assert not git("branch", "--list", BRANCH)


def test_eight_writers_leave_every_receipt_once(bare: Path, policy: str, tmp_path: Path, git: Git) -> None:
    """Concurrent writers, half by path and half by URL, all get their receipts in: none lost, none twice."""

    def write(number: int) -> None:
        location = str(bare) if number % 2 else f"file://{bare}"
        with open_repository(location, GitSettings(cache=tmp_path / f"mirror-{number}")) as repository:
            record = Record(repository, BRANCH, attempts=40)
            for step in range(2):
                state = {Key("default", f"p{number}"): live(f"{number}-{step}")}
                record.write(draft(policy, proxies=state, subject=f"{number}-{step}"), at=AT)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    said = git("log", "--format=%s", BRANCH).split()
    assert sorted(said) == sorted(f"{number}-{step}" for number in range(8) for step in range(2))
