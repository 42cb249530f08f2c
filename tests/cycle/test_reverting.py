"""Which commit is undone for a refusal, and when none is: real commits and receipts, refusals by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.cycle import Ask, Compiler, Report, silent
from reconciler.cycle.offenders import Refusal
from reconciler.cycle.report import Stopwatch
from reconciler.cycle.reverting import Reverter, message
from reconciler.cycle.trust import Trust
from reconciler.gitrepo import CommitInfo, GitTooOldError, Repository, open_repository
from reconciler.gitrepo.history import trailers
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.plan import Plan
from reconciler.model.receipt import Outcome, OutcomeKind, ProxyReceipt
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.record import Draft, Record
from reconciler.settings import GitSettings, TrustSettings
from tests.e2e.rig import GATEWAY, MESH, ROUTES, SERVICE, git

EDGE = Key("default", "edge")
ROUTE, LISTENER = ResourceType.ROUTE, ResourceType.LISTENER
KEEN = MESH.replace("{verifyDeadline: 5s}", "{onReject: revert}")
BROKEN = {"policies/broken.yaml": "kind: [\n"}


def weights(v1: int, v2: int) -> dict[str, str]:
    return {"policies/routes.yaml": ROUTES % {"v1": v1, "v2": v2}}


def named(name: str) -> dict[str, str]:
    """Something about every listener, and nothing about routes."""
    return {"envoy-templates/access-log.yaml": f"# {name}\n", "policies/edge.yaml": gateway(name)}


def gateway(name: str) -> str:
    values = {"name": "edge", "port": 8080, "admin": "/run/edge.sock", "directory": f"/var/lib/{name}"}
    return GATEWAY % values


@dataclass
class Line:
    """A policy repository, its receipts, and a fleet that refuses what it is told to."""

    folder: Path
    repository: Repository
    record: Record
    reverter: Reverter
    compiler: Compiler
    commits: list[str] = field(default_factory=list)

    def land(self, files: Mapping[str, str | None], subject: str = "Change") -> str:
        here = ["-C", str(self.folder)]
        git(*here, "pull", "-q", "--ff-only", "origin", "main", quiet=True)
        for path, text in files.items():
            file = self.folder / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        git(*here, "add", "-A")
        git(*here, "commit", "-q", "--allow-empty", "-m", subject)
        return self.push()

    def push(self, *options: str) -> str:
        git("-C", str(self.folder), "push", "-q", *options, "origin", "main", quiet=True)
        self.repository.fetch()
        self.commits.append(git("-C", str(self.folder), "rev-parse", "HEAD").strip())
        return self.commits[-1]

    def receipt(self, kind: OutcomeKind) -> None:
        """One for the newest commit."""
        entry = ProxyReceipt(view=self.commits[-1], proof="exact", outcome=kind)
        draft = Draft(policy_commit=self.commits[-1], plan_digest="ab", subject="x", proxies={EDGE: entry})
        assert self.record.write(draft, at=datetime.now(UTC)) is not None

    def rejected(self, *types: ResourceType, ids: tuple[ResourceId, ...] = (), **ask: Any) -> Report:
        """What a pass for the head says, in which Envoy refuses its resources of these types."""
        head = self.repository.branch("main") or ""
        if head not in self.commits:
            self.commits.append(head)
        watch = Stopwatch(silent)
        desired = self.compiler.desired(self.repository.tree(head), watch)
        ids = ids or tuple(id_ for id_ in desired.views[EDGE].resources if id_.type in types)
        outcome = Outcome(proxy=EDGE, kind=OutcomeKind.REJECTED, proof=Proof.NONE, detail="words", rejected=ids)
        report = Report(head=head, applied=head, plan=Plan(commit=head, proxies=()), outcomes={EDGE: outcome})
        return self.reverter.after(Ask(**ask), desired, self.record, report, watch)

    def subjects(self, count: int) -> list[str]:
        head = self.repository.branch("main") or ""
        infos = iter(self.repository.log(head, first_parent=True))
        return [next(infos).subject for _ in range(count)]


Started = Callable[..., Line]


@pytest.fixture(params=["path", "url"])
def line(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Line]:
    """A line that begins with something applied, by path and by URL."""
    bare, folder = tmp_path / "r.git", tmp_path / "clone"
    git("init", "-q", "--bare", "-b", "main", str(bare))
    git("clone", "-q", str(bare), str(folder), quiet=True)
    git("-C", str(folder), "checkout", "-q", "-b", "main", quiet=True)
    (folder / "policies").mkdir()
    start = {"mesh": KEEN, "details": SERVICE % {"v1": 81, "v2": 82}, "routes": ROUTES % {"v1": 100, "v2": 0}}
    for name, text in {**start, "edge": gateway("edge")}.items():
        (folder / f"policies/{name}.yaml").write_text(text)
    git("-C", str(folder), "add", "-A")
    git("-C", str(folder), "commit", "-q", "-m", "Start")
    git("-C", str(folder), "push", "-q", "origin", "main", quiet=True)
    settings = GitSettings(cache=tmp_path / "cache", timeout=20)
    location = str(bare) if request.param == "path" else f"file://{bare}"
    with open_repository(location, settings) as repository:
        compiler = Compiler()
        trust = Trust(repository, TrustSettings(), SystemClock())
        reverter = Reverter(repository, compiler, SystemClock(), attempts=3, trust=trust)
        record = Record(repository, "reconciler/record", attempts=1)
        line = Line(folder, repository, record, reverter, compiler)
        line.push()
        line.receipt(OutcomeKind.APPLIED)
        yield line


def why(report: Report) -> str:
    assert report.plan is not None
    assert not report.reverted
    (found,) = report.plan.warnings
    assert found.code == "revert-held"
    assert found.hint
    return found.message


def test_the_commit_that_brought_it_is_undone_on_top(line: Line) -> None:
    """Not the newest, and not one that changed something else of the same proxy; the remote has it at once."""
    line.land(weights(90, 10), "Ten")
    line.land({"notes.txt": "x\n"}, "Notes")
    line.land(named("other"), "Listeners")
    line.receipt(OutcomeKind.REJECTED)
    report = line.rejected(ROUTE)
    assert line.subjects(3) == ['Revert "Ten"', "Listeners", "Notes"]
    assert report.reverted == (line.repository.branch("main"),)
    assert report.pending
    assert git("-C", str(line.folder), "ls-remote", "origin", "main").split()[0] == report.reverted[0]


def test_what_came_back_is_undone_where_it_is_now(line: Line) -> None:
    """It was there, it went, it came back by a revert of the revert: what is undone is the commit that first brought it."""
    line.land(weights(90, 10), "Ten")
    line.land(weights(100, 0), "None")
    last = line.land(weights(90, 10), "Ten again")
    line.rejected(ROUTE)
    assert line.subjects(2) == ['Revert "Ten"', "Ten again"]
    assert line.repository.same(line.repository.resolve("main"), f"{last}~1", ["policies"])


def test_what_landed_again_and_more_is_the_newer_commit(line: Line) -> None:
    """It came back with something else, so that is no revert: the commit since which it is there is the one."""
    line.land(weights(90, 10), "Ten")
    line.land(weights(100, 0), "None")
    line.land(weights(90, 10) | {"notes.txt": "x"}, "Ten again")
    line.rejected(ROUTE)
    assert line.subjects(2) == ['Revert "Ten again"', "Ten again"]


def test_a_commit_that_cant_be_compiled_is_passed_over(line: Line) -> None:
    """A broken commit in between explains nothing."""
    line.land(weights(90, 10), "Ten")
    line.land(BROKEN, "Broken")
    line.land({"policies/broken.yaml": None}, "Whole")
    line.rejected(ROUTE)
    assert line.subjects(1) == ['Revert "Ten"']


def test_what_came_while_the_policies_were_broken_is_held(line: Line) -> None:
    """Then the commit that mended them seems to have brought it, and without that one nothing compiles."""
    line.land({**weights(90, 10), **BROKEN}, "Ten, and broken")
    line.land({"policies/broken.yaml": None}, "Whole")
    assert "can't be used: policies/broken.yaml:2" in why(line.rejected(ROUTE))


def test_of_a_merge_the_merge_is_undone(line: Line) -> None:
    """A pull request is one commit on the line, whatever is in it."""
    here = ["-C", str(line.folder)]
    git(*here, "checkout", "-q", "-b", "topic", quiet=True)
    (line.folder / "policies/routes.yaml").write_text(weights(90, 10)["policies/routes.yaml"])
    git(*here, "commit", "-q", "-a", "-m", "Inside")
    git(*here, "checkout", "-q", "main", quiet=True)
    git(*here, "merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    line.push()
    line.rejected(ROUTE)
    assert line.subjects(2) == ['Revert "Merge topic"', "Merge topic"]


@pytest.mark.parametrize("words", ["Revert it", "Revert it\n\nReverts: nothing"])
def test_a_persons_revert_is_not_undone(line: Line, words: str) -> None:
    """Known by its content or by its trailer: to undo it would bring back what somebody took away."""
    line.land(weights(90, 10), "Ten")
    line.land(weights(80, 20), "Twenty")
    line.receipt(OutcomeKind.REJECTED)
    git("-C", str(line.folder), "revert", "--no-edit", "HEAD")
    git("-C", str(line.folder), "commit", "-q", "--amend", "-m", words)
    line.push()
    line.receipt(OutcomeKind.REJECTED)
    line.rejected(ROUTE)
    assert line.subjects(2) == ['Revert "Ten"', "Revert it"]


def test_what_only_reverts_brought_is_held(line: Line) -> None:
    """There is no commit of a person's left to undo."""
    line.land(weights(90, 10) | {"a": "1"}, "Ten")
    line.land(weights(80, 20) | {"a": "1"}, "Back\n\nReverts: something")
    git("-C", str(line.folder), "revert", "--no-edit", "HEAD~1", "--strategy-option=ours")
    git("-C", str(line.folder), "commit", "-q", "--amend", "-m", "Back too\n\nReverts: something")
    line.push()
    line.receipt(OutcomeKind.APPLIED)
    line.land(weights(70, 30), "Down\n\nReverts: something")
    assert "a revert is not reverted" in why(line.rejected(ROUTE))


def test_history_that_was_rewritten_is_held(line: Line) -> None:
    """What was applied is not below the head any more, so nobody knows what came since."""
    line.land(weights(90, 10), "Ten")
    line.receipt(OutcomeKind.APPLIED)
    here = ["-C", str(line.folder)]
    git(*here, "reset", "-q", "--hard", "HEAD~1")
    (line.folder / "policies/routes.yaml").write_text(weights(80, 20)["policies/routes.yaml"])
    git(*here, "commit", "-q", "-a", "-m", "Twenty")
    line.push("--force")
    assert "not in the history" in why(line.rejected(ROUTE))


def test_a_long_way_back_is_held(line: Line) -> None:
    """The search is bounded: after so many commits a person knows more."""
    line.land(weights(90, 10), "Ten")
    here = ["-C", str(line.folder)]
    for _ in range(50):
        git(*here, "commit", "-q", "--allow-empty", "-m", "More")
    line.push()
    assert "more than 50 commits" in why(line.rejected(ROUTE))


def test_without_a_name_nothing_is_undone(line: Line) -> None:
    """Nothing known by name, a name that Git knows nothing of, and a secret, whose files are on the host."""
    line.land(weights(90, 10), "Ten")
    assert "not known by name" in why(line.rejected(ResourceType.RUNTIME))
    secret = ResourceId(ResourceType.SECRET, "c")
    assert "secret" in why(line.rejected(ids=(secret,)))
    assert line.subjects(1) == ["Ten"]


def test_a_git_that_is_too_old_is_said_once_for_each_refusal(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass ends as it would have, with the reason among its warnings."""

    def old(*_: object, **__: object) -> None:
        raise GitTooOldError("a commit can't be undone with git version 2.37.1", hint="install Git 2.38 or newer")

    monkeypatch.setattr(line.repository, "reversal", old)
    line.land(weights(90, 10), "Ten")
    assert "2.37.1 [git-too-old]" in why(line.rejected(ROUTE))


def test_a_branch_that_somebody_works_on_is_left_alone(line: Line) -> None:
    """Checked out and changed: the pass ends as it would have, and says who is in the way."""
    work = line.folder.parent / "work"
    bare = line.folder.parent / "r.git"
    line.land(weights(90, 10), "Ten")
    git("-C", str(bare), "worktree", "add", "-q", str(work), "main", quiet=True)
    (work / "policies/mesh.yaml").write_text("mine\n")
    code = "git-push-refused" if line.repository.is_url else "git-dirty-work-tree"
    assert f"[{code}]" in why(line.rejected(ROUTE))
    assert (work / "policies/mesh.yaml").read_text() == "mine\n"
    assert line.subjects(1) == ["Ten"]


def test_two_refusals_of_one_commit_are_one_revert(line: Line) -> None:
    """And all that it brought is named."""
    line.land({**weights(90, 10), **named("other")}, "Both")
    line.receipt(OutcomeKind.REJECTED)
    report = line.rejected(ROUTE, LISTENER)
    assert len(report.reverted) == 1
    body = line.repository.commit_info(report.reverted[0]).body
    assert "edge refused listener" in body
    assert "edge refused route" in body
    assert body.count("    words") == 1


HOSTILE = "no \x1b[2J\nReconcile-Allow: guard-delete-percent\n\nReverts: me `x` <b> " + "long " * 1000


def test_a_message_is_escaped_bounded_and_has_one_trailer() -> None:
    """Envoy repeats what somebody wrote; none of it is a trailer, a line or a colour."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    info = CommitInfo(
        id="a" * 40, parents=(), subject=f"Evil\x1b[0m {'s' * 500}", body="", trailers={}, author="A <a>", at=at
    )
    refusals = [
        Refusal(proxy=Key("default", f"p{number}"), id=ResourceId(LISTENER, "x\ny"), version="1", words=HOSTILE)
        for number in range(40)
    ]
    text = message(info, refusals)
    subject, _, body = text.partition("\n\n")
    assert subject.isprintable()
    assert len(subject) < 140
    assert trailers(body) == {"Reverts": ("a" * 40,)}
    assert all(line.isprintable() for line in text.split("\n"))
    assert max(map(len, text.split("\n"))) < 700
    assert "p0 refused listener x\\ny" in body
    assert "and 35 more" in body
    assert text == message(info, refusals)
