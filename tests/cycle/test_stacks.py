"""Receipts as stacks: what is remembered from pass to pass is what a new process would read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.cycle.desired import Compiler
from reconciler.cycle.stacks import Stacks
from reconciler.gitrepo import Repository, open_repository
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind, ProxyReceipt, Receipt
from reconciler.record import Draft, Record
from reconciler.settings import GitSettings, Identity

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B = Key("default", "a"), Key("default", "b")
VIEWS = ("0", "10", "50", "0", "10", "100")


class Written:
    """A record with a receipt a day."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.policy = repository.commit("main", expect=None, files={"policies/a": b""}, message="x", at=START)
        self.days = 0

    def write(self, a: str, b: OutcomeKind = OutcomeKind.APPLIED, *, branch: str = "record") -> Receipt:
        proxies = {
            key: ProxyReceipt(view=a, proof=str(Proof.EXACT), outcome=kind)
            for key, kind in ((A, OutcomeKind.APPLIED), (B, b))
        }
        self.days += 1
        found = Record(self.repository, branch, attempts=1).write(
            Draft(policy_commit=self.policy, plan_digest="ab", subject="live", proxies=proxies),
            at=START + timedelta(days=self.days),
        )
        assert found is not None
        return found

    def read(self, stacks: Stacks, last: Receipt | None, *, branch: str = "record") -> Stacks:
        stacks.read(Record(self.repository, branch, attempts=1), last)
        return stacks

    def fresh(self) -> Stacks:
        return Stacks(self.repository, Compiler())


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    path = tmp_path / "mesh.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    with open_repository(str(path), GitSettings(author=Identity(name="x", email="x@example.com"))) as repository:
        yield Written(repository)


def below(stacks: Stacks, key: Key, *, since: datetime = START) -> list[str]:
    return [view for view in dict.fromkeys(VIEWS) if stacks.has_view(key, view, since=since)]


def test_each_pass_takes_in_what_is_new_and_a_new_process_reads_the_same(written: Written) -> None:
    """Whether one receipt has come since or several, or none."""
    kept = written.fresh()
    expected = [["0"], ["0", "10"], ["0", "10", "50"], ["0"], ["0", "10"], ["0", "10", "100"]]
    for number, (view, live) in enumerate(zip(VIEWS, expected, strict=True)):
        last = written.write(view)
        assert below(written.read(written.fresh(), last), A) == live
        if number != 1:
            assert below(written.read(written.read(kept, last), last), A) == live


def test_a_proxy_comes_from_what_it_had_itself(written: Written) -> None:
    """One that refused a view, or was away, has never come from there."""
    written.write("0")
    written.write("10", OutcomeKind.REJECTED)
    stacks = written.read(written.fresh(), written.write("100"))
    assert (below(stacks, A), below(stacks, B)) == (["0", "10", "100"], ["0", "100"])
    assert below(stacks, Key("default", "c")) == []


def test_what_another_took_the_place_of_long_ago_is_too_old(written: Written) -> None:
    """However old its receipt is, a state counts from when it was left."""
    written.write("0")
    written.write("10")
    stacks = written.read(written.fresh(), written.write("50"))
    assert below(stacks, A, since=START + timedelta(days=2)) == ["0", "10", "50"]
    assert below(stacks, A, since=START + timedelta(days=2, seconds=1)) == ["10", "50"]
    assert below(stacks, A, since=START + timedelta(days=99)) == ["50"]


def test_another_record_is_read_anew(written: Written) -> None:
    """And without a receipt there is nothing to go back to."""
    stacks = written.read(written.fresh(), written.write("0"))
    other = written.write("100", branch="other")
    assert below(written.read(stacks, other, branch="other"), A) == ["100"]
    assert below(written.read(stacks, other, branch="not asked"), A) == ["100"]
    assert below(written.read(stacks, None), A) == []
