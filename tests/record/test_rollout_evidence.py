from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Diagnostic, InputError, Severity
from reconciler.gitrepo import Repository
from reconciler.model.key import Key
from reconciler.record import Draft, Record, RecordRewoundError, RecordUnreadableError, path_of_rollout
from reconciler.record.evidence import content, parse
from tests.record.conftest import AT, BRANCH, Git, Open, draft

REVIEWS, RATINGS = Key("default", "reviews"), Key("other", "ratings")
FIRST: dict[str, Any] = {"run": "v1->v2", "step": 1, "verified": "2026-01-02T03:04:05+00:00", "metrics": [{"taken": 3}]}
LATER = {**FIRST, "step": 2}
SUBJECT = "reviews: measured step 2/6"

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def with_rollouts(commit: str, rollouts: dict[Key, Any] | None) -> Draft:
    """A draft that has evidence."""
    return replace(draft(commit), rollouts=rollouts)


def files(git: Git) -> list[str]:
    """What stands on the record branch."""
    return git("ls-tree", "-r", "--name-only", BRANCH).split()


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_every_plain_value_survives_its_file(value: dict[str, Any]) -> None:
    """Evidence is read back as it was written, so a restart forgets nothing."""
    assert parse(content(value), path="x", commit="1") == value


def test_words_that_are_no_unicode_are_shown() -> None:
    """Bytes of others that could not be decoded reach the file as escapes instead of failing the receipt."""
    assert parse(content({"a": ["b\udcff"]}), path="x", commit="1") == {"a": ["b\\udcff"]}


def test_evidence_stands_beside_the_proxies(
    repository: Repository, policy: str, git: Git, bare: Any, opened: Open
) -> None:
    """A receipt carries the evidence of all rollouts, and any other process reads the same."""
    written = Record(repository, BRANCH, attempts=3).write(
        with_rollouts(policy, {RATINGS: LATER, REVIEWS: FIRST}), at=AT
    )

    assert files(git) == [
        "proxies/default/a.yaml",
        "proxies/other/b.yaml",
        "rollouts/default/reviews.yaml",
        "rollouts/other/ratings.yaml",
    ]
    assert git("show", f"{BRANCH}:rollouts/default/reviews.yaml").startswith("run: v1->v2\nstep: 1\n")
    read = Record(opened(str(bare)), BRANCH, attempts=3).latest()
    assert written == read
    assert read
    assert (dict(read.rollouts), read.notes) == ({REVIEWS: FIRST, RATINGS: LATER}, ())


def test_evidence_is_news_like_everything_else(repository: Repository, policy: str, git: Git) -> None:
    """New evidence is a receipt, the same is none, and a rollout that left the mesh leaves the tree."""
    record = Record(repository, BRANCH, attempts=3)
    assert record.write(with_rollouts(policy, {REVIEWS: FIRST}), at=AT)
    assert record.write(with_rollouts(policy, {REVIEWS: dict(FIRST)}), at=AT) is None

    changed = record.write(with_rollouts(policy, {REVIEWS: LATER}), at=AT)
    assert changed
    assert dict(changed.rollouts) == {REVIEWS: LATER}
    gone = record.write(with_rollouts(policy, {}), at=AT)

    assert gone
    assert (dict(gone.rollouts), files(git)) == ({}, ["proxies/default/a.yaml", "proxies/other/b.yaml"])


def test_who_knows_nothing_of_rollouts_leaves_them(repository: Repository, policy: str) -> None:
    """A draft without a word about rollouts keeps what the tip has."""
    record = Record(repository, BRANCH, attempts=3)
    record.write(with_rollouts(policy, {REVIEWS: FIRST}), at=AT)

    after = record.write(draft(policy, proxies={}), at=AT)

    assert after
    assert (dict(after.proxies), dict(after.rollouts)) == ({}, {REVIEWS: FIRST})


def test_a_note_repeats_what_was_said_of_proxies(repository: Repository, policy: str, git: Git) -> None:
    """Evidence alone is a receipt with the proxies, the policy commit, the digest and the outcome of the one before."""
    record = Record(repository, BRANCH, attempts=3)
    before = record.write(draft(policy), at=AT)
    assert before

    noted = record.note({REVIEWS: FIRST}, subject=SUBJECT, policy_commit="f" * 40, at=AT + timedelta(minutes=1))

    assert noted
    assert (
        replace(noted, commit=before.commit, at=before.at, subject=before.subject, rollouts=before.rollouts) == before
    )
    assert (noted.subject, dict(noted.rollouts)) == (SUBJECT, {REVIEWS: FIRST})
    assert git("diff", "--name-only", before.commit, noted.commit) == "rollouts/default/reviews.yaml"
    assert git("log", "-1", "--format=%b", BRANCH).split("\n")[-1] == "Proxies: 2/2"
    assert record.note({REVIEWS: FIRST}, subject="again", policy_commit=policy, at=AT) is None
    assert record.write(with_rollouts(policy, {REVIEWS: FIRST}), at=AT) is None


def test_a_note_before_the_first_receipt_vouches_for_no_proxy(repository: Repository, policy: str) -> None:
    """An abort can be recorded before anything was: the receipt names no proxy, is partial, and the first real one follows."""
    record = Record(repository, BRANCH, attempts=3)

    noted = record.note({REVIEWS: FIRST}, subject=SUBJECT, policy_commit=policy, at=AT)

    assert noted == record.latest()
    assert noted
    assert (noted.policy_commit, noted.plan_digest, noted.outcome) == (policy, "", "partial")
    assert (dict(noted.proxies), dict(noted.rollouts)) == ({}, {REVIEWS: FIRST})
    assert record.write(with_rollouts(policy, {REVIEWS: FIRST}), at=AT)


def test_a_note_on_what_is_no_receipt_vouches_for_no_proxy(repository: Repository, policy: str) -> None:
    """On top of a commit by hand nobody knows what the proxies' files stand for, so they go until the next receipt."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    assert first
    repository.commit(BRANCH, expect=first.commit, files={}, message="By hand", at=AT)

    noted = record.note({REVIEWS: FIRST}, subject=SUBJECT, policy_commit=policy, at=AT)

    assert noted == record.latest()
    assert noted
    assert (dict(noted.proxies), noted.outcome, dict(noted.rollouts)) == ({}, "partial", {REVIEWS: FIRST})


def test_a_note_is_written_again_after_a_lost_race(
    bare: Any, opened: Open, repository: Repository, policy: str
) -> None:
    """Two writers at once: both evidence and receipt are there, and the note repeats the receipt that it lands on."""
    remote = opened(f"file://{bare}")
    record = Record(remote, BRANCH, attempts=3, sleep=lambda _: None)
    other = Record(repository, BRANCH, attempts=3)
    first = other.write(draft(policy), at=AT)
    remote.fetch()
    second = other.write(draft(policy, proxies={}), at=AT)
    assert first
    assert second

    noted = record.note({REVIEWS: FIRST}, subject=SUBJECT, policy_commit=policy, at=AT)

    assert noted
    assert (dict(noted.proxies), noted.outcome) == ({}, second.outcome)
    assert repository.commit_info(noted.commit).parents == (second.commit,)


def test_a_note_never_makes_a_rewound_record_anew(repository: Repository, policy: str, git: Git) -> None:
    """What holds for receipts holds for notes."""
    record = Record(repository, BRANCH, attempts=3)
    assert record.write(draft(policy), at=AT)
    git("update-ref", "-d", f"refs/heads/{BRANCH}")

    with pytest.raises(RecordRewoundError):
        record.note({REVIEWS: FIRST}, subject=SUBJECT, policy_commit=policy, at=AT)


BROKEN = {
    "no-yaml": ("rollouts/default/reviews.yaml", b"step: [\n", "is not YAML"),
    "no-mapping": ("rollouts/default/reviews.yaml", b"- step\n", "is not one mapping"),
    "empty": ("rollouts/default/reviews.yaml", b"", "is not one mapping"),
    "two-documents": ("rollouts/default/reviews.yaml", b"a: b\n---\na: b\n", "is not one mapping"),
    "no-text": ("rollouts/default/reviews.yaml", b"\xff", "is not YAML"),
    "foreign-file": ("rollouts/default/reviews.txt", b"", "is no file of a rollout"),
    "too-high": ("rollouts/reviews.yaml", b"step: 1\n", "is no file of a rollout"),
}


@pytest.mark.parametrize(("path", "data", "what"), BROKEN.values(), ids=BROKEN)
def test_broken_evidence_is_a_note_and_stops_nothing(
    repository: Repository, policy: str, path: str, data: bytes, what: str
) -> None:
    """What somebody broke is named, the proxies and other rollouts are read as ever, and the next receipt heals it."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(with_rollouts(policy, {RATINGS: FIRST}), at=AT)
    assert first
    tip = repository.commit(BRANCH, expect=first.commit, files={path: data}, message=draft(policy).message(), at=AT)

    read = record.latest()

    assert read
    assert (read.proxies, read.rollouts) == (first.proxies, first.rollouts)
    (note,) = read.notes
    assert (note.code, note.severity, note.file) == ("record-evidence", Severity.WARNING, path)
    assert what in note.message
    assert tip in note.message
    healed = record.write(with_rollouts(policy, {RATINGS: FIRST}), at=AT)
    assert healed
    assert (healed.rollouts, healed.notes) == (first.rollouts, ())


def test_a_link_is_no_evidence(repository: Repository, policy: str, git: Git) -> None:
    """A symbolic link is not followed."""
    record = Record(repository, BRANCH, attempts=3)
    assert record.write(draft(policy), at=AT)
    blob = git("rev-parse", f"{BRANCH}:proxies/default/a.yaml")
    proxies = git("rev-parse", f"{BRANCH}:proxies")
    inner = _tree(git, f"120000 blob {blob}\treviews.yaml")
    root = _tree(
        git, f"040000 tree {proxies}\tproxies", f"040000 tree {_tree(git, f'040000 tree {inner}	default')}\trollouts"
    )
    commit = git("commit-tree", root, "-p", BRANCH, "-m", draft(policy).message())
    git("update-ref", f"refs/heads/{BRANCH}", commit)

    read = record.latest()

    assert read
    assert ([note.file for note in read.notes], dict(read.rollouts)) == (["rollouts/default/reviews.yaml"], {})


def _tree(git: Git, *entries: str) -> str:
    where = git("rev-parse", "--absolute-git-dir")
    made = subprocess.run(
        ["git", f"--git-dir={where}", "mktree"], input="\n".join(entries), check=True, capture_output=True, text=True
    )
    return made.stdout.strip()


def test_broken_proxies_still_are_an_error(repository: Repository, policy: str) -> None:
    """Evidence is forgiven, what vouches for proxies is not: a note does not repeat it, and stands nevertheless."""
    record = Record(repository, BRANCH, attempts=3)
    first = record.write(draft(policy), at=AT)
    assert first
    files = {"proxies/default/a.yaml": b"- no\n"}
    repository.commit(BRANCH, expect=first.commit, files=files, message=draft(policy).message(), at=AT)

    with pytest.raises(RecordUnreadableError):
        record.latest()
    noted = record.note({REVIEWS: FIRST}, subject=SUBJECT, policy_commit=policy, at=AT)
    assert noted == record.latest()
    assert noted
    assert (dict(noted.proxies), noted.outcome) == ({}, "partial")


def test_history_reads_evidence_when_asked(repository: Repository, policy: str) -> None:
    """Guards look at thousands of receipts and want proxies only; who tells a rollout's story wants its evidence."""
    record = Record(repository, BRANCH, attempts=3)
    record.write(with_rollouts(policy, {REVIEWS: FIRST}), at=AT)
    record.note({REVIEWS: LATER}, subject=SUBJECT, policy_commit=policy, at=AT)

    assert [dict(item.rollouts) for item in record.history(AT)] == [{}, {}]
    assert [item.rollouts[REVIEWS]["step"] for item in record.history(AT, rollouts=True)] == [2, 1]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".git"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    """Neither a rollout nor a namespace can name a path outside its folder."""
    with pytest.raises(InputError, match="rollout"):
        path_of_rollout(Key("default", name))


def test_a_note_about_a_file_is_one_value() -> None:
    """What can't be read is said, not raised."""
    assert isinstance(parse(b"\x00", path="rollouts/a/b.yaml", commit="1"), Diagnostic)
