from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.cycle.editing import Action, tag_of, yaml_of
from reconciler.cycle.editing.errors import (
    DeskBusyError,
    EditingQueryError,
    InvalidResultError,
    PolicyPlaceError,
    PolicyTextError,
    PreconditionError,
    RefusedChangeError,
    UnknownPolicyError,
)
from reconciler.errors import ReconcilerError
from reconciler.gitrepo import RaceLostError
from reconciler.model.key import Key
from tests.cycle.editing.office import FILES, KEY, RULE, SERVICE, Office, office, split


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path / "r.git") as found:
        yield found


def test_a_policy_is_read_as_it_was_written(made: Office) -> None:
    """Its own lines, the comments among them, and where they are."""
    found = made.desk.read("VirtualService", KEY)
    assert found.text.decode() == split(10, comment="  # the only rule")
    assert (found.file, found.document, found.line) == ("policies/reviews.yaml", 0, 2)
    assert found.commit == made.tip().id
    assert found.value["spec"]["hosts"] == ["reviews"]
    assert found.tag == tag_of(found.text)
    head, entries = made.desk.entries()
    assert head == found.commit
    assert [f"{entry.kind} {entry.key.name}" for entry in entries] == [
        "DestinationRule reviews", "Gateway edge", "Proxy client", "ServiceEntry reviews", "VirtualService reviews",
    ]  # fmt: skip


def test_a_tag_is_the_blob_id_of_git(made: Office) -> None:
    """Of a file of one document it is the file's."""
    hashed = subprocess.run(
        ["git", "rev-parse", "main:policies/service.yaml"], cwd=made.path, capture_output=True, text=True, check=True
    )
    assert made.tag("ServiceEntry") == hashed.stdout.strip()


def test_a_change_is_a_commit_of_its_author(made: Office) -> None:
    """One document changes; who asked is the author, and who wrote it the committer; the trailer names the token."""
    before = made.tip()
    done = made.desk.write(made.wish(split(20), message="more of v2\n\nas agreed"))
    tip = made.tip()
    assert (done.action, done.commit, done.branch) == (Action.UPDATE, tip.id, "main")
    assert tip.parents == (before.id,)
    assert (tip.author, tip.committer) == ("Ada L <ada@x.test>", "daemon <daemon@x.test>")
    assert tip.subject == "api(reviews): update VirtualService default/reviews"
    assert tip.body == "more of v2\n\nas agreed\n\nRequested-By-Token: a1b2"
    assert tip.trailers["Requested-By-Token"] == ("a1b2",)
    assert made.file("reviews.yaml") == FILES["reviews.yaml"].replace(split(10, comment="  # the only rule"), split(20))
    assert done.tag == made.tag()
    assert "-    - {destination: {host: reviews, subset: v2}, weight: 10}" in done.diff
    assert done.plan is not None
    assert done.plan["summary"]["update"] == 1
    assert made.written == [None]


def test_what_is_so_already_writes_nothing(made: Office) -> None:
    """Sending what was read is no commit."""
    before = made.tip().id
    done = made.desk.write(made.wish(made.desk.read("VirtualService", KEY).text.decode()))
    assert (done.action, done.commit, done.tag) == (Action.NONE, "", made.tag())
    assert made.tip().id == before
    assert made.written == []


def test_a_policy_is_created_in_a_file_of_its_own_or_where_it_is_asked_for(made: Office) -> None:
    """And not where one is already."""
    new = split(5, name="other")
    done = made.desk.write(made.wish(new, key=Key("default", "other"), expect=None))
    assert (done.action, done.file) == (Action.CREATE, "policies/default/virtualservice-other.yaml")
    assert made.file("default/virtualservice-other.yaml") == new
    more = split(5, name="more")
    wish = made.wish(more, key=Key("default", "more"), expect=None, file="policies/service.yaml")
    assert made.desk.write(wish).tag == made.tag(key=Key("default", "more")) == tag_of(more.encode())
    assert made.file("service.yaml") == f"{SERVICE}---\n{more}"
    with pytest.raises(PreconditionError, match="is there already"):
        made.desk.write(wish)


def test_a_policy_is_deleted_and_its_neighbours_stay(made: Office) -> None:
    """With its file when nothing else is in it."""
    deleting = frozenset({"guard-delete-percent"})
    made.desk.write(made.wish(None, allow=deleting))
    assert made.file("reviews.yaml") == f"# Reviews: ask the reviews team\n# end\n---\n# as it was\n{RULE}"
    made.desk.write(made.wish(None, kind="DestinationRule", allow=deleting))
    assert made.file("reviews.yaml") is None
    assert made.tip().subject == "api(reviews): delete DestinationRule default/reviews"
    with pytest.raises(UnknownPolicyError):
        made.desk.read("VirtualService", KEY)
    with pytest.raises(PreconditionError) as error:
        made.desk.write(made.wish(None, expect=frozenset({"*"})))
    assert error.value.diagnostics[0].hint == "there is nothing to delete"


def test_who_has_not_seen_it_does_not_change_it(made: Office) -> None:
    """An old tag, another's, or none: nothing is written, so nothing is lost."""
    old = made.tag()
    made.people({"reviews.yaml": f"{split(30)}---\n{RULE}"})
    before = made.tip().id
    for expect in (frozenset({old}), frozenset({"0" * 40}), frozenset[str](), None):
        with pytest.raises(PreconditionError):
            made.desk.write(made.wish(split(20), expect=expect))
    assert made.tip().id == before
    assert made.desk.write(made.wish(split(20), expect=frozenset({old, "*"}))).commit


def test_others_may_commit_meanwhile_but_not_to_this_policy(tmp_path: Path) -> None:
    """A race is lost and tried again; the policy itself has to be as it was seen."""
    rounds: list[str | None] = [FILES["service.yaml"] + "# a\n", FILES["service.yaml"] + "# b\n", None]

    def meanwhile(found: Office) -> None:
        text = rounds.pop(0)
        if text is not None:
            found.people({"service.yaml": text})

    with office(tmp_path / "r.git", between=meanwhile) as made:
        done = made.desk.write(made.wish(split(20)))
        assert made.tip().id == done.commit
        assert made.file("service.yaml") == FILES["service.yaml"] + "# b\n", "what they wrote is kept"
        rounds += [FILES["service.yaml"] + "# c\n"]
        moved = split(33)

        def same(found: Office) -> None:
            found.people({"reviews.yaml": f"{moved}---\n{RULE}"})

        rounds.clear()
        rounds.append(None)
        tag = made.tag()
        same(made)
        with pytest.raises(PreconditionError):
            made.desk.write(made.wish(split(21), expect=frozenset({tag})))
        assert made.file("reviews.yaml") == f"{moved}---\n{RULE}"


def test_the_same_policy_changed_in_between_is_lost_to_nobody(tmp_path: Path) -> None:
    """Even after it was judged: the compare-and-swap fails, and the second look sees it."""
    other = FILES["reviews.yaml"].replace("weight: 10", "weight: 11").replace("weight: 90", "weight: 89")
    once = [other]

    def meanwhile(found: Office) -> None:
        if once:
            found.people({"reviews.yaml": once.pop()})

    with office(tmp_path / "r.git", between=meanwhile) as made:
        with pytest.raises(PreconditionError, match="has changed"):
            made.desk.write(made.wish(split(20)))
        assert made.file("reviews.yaml") == other
        assert made.tip().author == "Bob <bob@x.test>"


def test_who_always_loses_gives_up(tmp_path: Path) -> None:
    """After as many attempts as the settings say."""
    counter = iter(range(100))

    def meanwhile(found: Office) -> None:
        found.people({"service.yaml": FILES["service.yaml"] + f"# {next(counter)}\n"})

    with office(tmp_path / "r.git", between=meanwhile, attempts=3) as made:
        with pytest.raises(RaceLostError):
            made.desk.write(made.wish(split(20)))
        assert next(counter) == 3


def test_what_would_have_errors_is_not_written(made: Office) -> None:
    """Of its own, or because others refer to it; the answer has the places."""
    before = made.tip().id
    with pytest.raises(InvalidResultError) as raised:
        made.desk.write(made.wish(split(20).replace("subset: v2", "subset: v9")))
    assert raised.value.code == "ref-subset"
    assert raised.value.diagnostics[0].file == "policies/reviews.yaml"
    assert raised.value.diagnostics[0].line is not None
    with pytest.raises(InvalidResultError):
        made.desk.write(made.wish(None, kind="DestinationRule"))
    with pytest.raises(InvalidResultError):
        made.desk.write(made.wish(split(20).replace("spec:", "spec:\n  nonsense: 1"), dry_run=True))
    assert made.tip().id == before


def test_a_broken_branch_is_mended(made: Office) -> None:
    """What is broken can be read and replaced; guards compare with the newest commit that could be used."""
    made.people({"reviews.yaml": f"{split(10).replace('hosts', 'hots')}---\n{RULE}"})
    with pytest.raises(InvalidResultError):
        made.desk.write(made.wish(SERVICE + "  exportTo: ['*']\n", kind="ServiceEntry"))
    with pytest.raises(RefusedChangeError):
        made.desk.write(made.wish(split(95)))
    assert made.desk.write(made.wish(split(12))).commit == made.tip().id


def test_a_guard_refuses_and_is_overridden_on_purpose(made: Office) -> None:
    """The refusal names its code; the override is written into the commit, where the next pass reads it."""
    with pytest.raises(RefusedChangeError) as raised:
        made.desk.write(made.wish(split(90)))
    assert raised.value.code == "guard-weight-increase"
    assert "`?allow=guard-weight-increase`" in raised.value.diagnostics[0].hint
    dry = made.desk.write(made.wish(split(90), dry_run=True))
    assert (dry.commit, dry.action) == ("", Action.UPDATE)
    assert dry.plan is not None
    assert [item["code"] for item in dry.plan["refused"]] == ["guard-weight-increase"]
    done = made.desk.write(made.wish(split(90), allow=frozenset({"guard-weight-increase"})))
    assert made.tip().trailers["Reconcile-Allow"] == ("guard-weight-increase",)
    assert done.plan is not None
    assert done.plan["commit"] == done.commit == made.tip().id
    assert "guard-weight-increase" in {item.code for item in done.notes}


def test_a_proposal_is_a_branch_of_its_own(made: Office) -> None:
    """The policy branch stays; what a guard would refuse is said, and is for reviewers to decide."""
    before = made.tip().id
    done = made.desk.write(made.wish(split(90), propose=True))
    assert made.tip().id == before
    assert done.branch.startswith("reconciler/propose/")
    tip = made.tip(done.branch)
    assert (tip.id, tip.parents, tip.author) == (done.commit, (before,), "Ada L <ada@x.test>")
    assert "guard-weight-increase" in {item.code for item in done.notes}
    assert made.written == []
    gone = made.desk.write(made.wish(None, propose=True))
    assert gone.branch != done.branch


@pytest.mark.parametrize(
    "message",
    [
        "Reconcile-Allow: guard-freeze",
        "x\n\n  reconcile-allow : x",
        "a\nRollout: x",
        "\x00",
        "a\x1b[31m",
        "x" * 5000,
        "Policy-Commit: 1",
    ],
)
def test_words_of_callers_do_not_pass_for_ours(made: Office, message: str) -> None:
    """A trailer acknowledges a guard, so nobody may smuggle one in; and no word steers a terminal."""
    with pytest.raises(EditingQueryError):
        made.desk.write(made.wish(split(20), message=message))
    with pytest.raises(EditingQueryError):
        made.desk.write(made.wish(split(20), allow=frozenset({"a\nReconcile-Allow: b"})))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "documents"), (split(1) + "---\n" + split(2, name="x"), "documents"), (RULE, "is sent to"), (split(1, name="x"), "is sent to"),
        (split(1).replace("name: reviews", "name: reviews, namespace: x"), "is sent to"), ("a: [", "yaml"), ("apiVersion: v1\nkind: Pod\n", "no policy"),
        ("a: &a [x]\n" + "".join(f"b{n}: &b{n} [{f'*b{n - 1},' * 9 if n else '*a'}]\n" for n in range(9)), "yaml"), ("\x00", "yaml"),
        (split(1).replace("VirtualService", "Virtualservice"), "no policy"), ("x" * 1000 + ": 1\n", "no policy"), ("[]", "no policy"),
    ],
)  # fmt: skip
def test_only_one_document_of_this_name_is_taken(made: Office, text: str, why: str) -> None:
    """Everything else is refused before anything is looked at, bombs too."""
    with pytest.raises(PolicyTextError) as raised:
        made.desk.write(made.wish(text))
    assert why in str(raised.value)


@pytest.mark.parametrize(
    "file",
    [
        "reviews.yaml", "/policies/x.yaml", "policies/../x.yaml", "policies/./x.yaml", "policies//x.yaml", "policies/.git/x.yaml", "policies/x.txt",
        "policies/", "policies", "policies/x\n.yaml", "policies/x\x00.yaml", "policies/é.yaml", "policies/reviews.yaml/x.yaml", "policies/Reviews.yaml",
        "policies/" + "x" * 300 + ".yaml", "envoy-templates/x.yaml", "Policies/x.yaml", "policies\\x.yaml", "policies/a/.x.yaml", "policies/sub", "policies/SUB/x.yaml",
        "policies/link/x.yaml", "policies/link.yaml", "policies/sub.yaml",
    ],
)  # fmt: skip
def test_a_file_that_is_no_place_for_a_policy_is_refused(made: Office, file: str) -> None:
    """Outside of `policies/`, hidden, in the way of another, or another's name in other letters: nothing is written there."""
    made.people({"sub/x.yaml": "", "sub.yaml/x.yaml": ""})
    link = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=made.path, input=b"/etc", capture_output=True, check=True
    )
    index = {"GIT_INDEX_FILE": str(made.path / "i"), "PATH": "/usr/bin:/bin"}
    for command in (
        ["read-tree", "main"],
        ["update-index", "--add", "--cacheinfo", f"120000,{link.stdout.decode().strip()},policies/link"],
        ["update-index", "--add", "--cacheinfo", f"120000,{link.stdout.decode().strip()},policies/link.yaml"],
    ):
        subprocess.run(["git", *command], cwd=made.path, env=index, check=True)
    tree = subprocess.run(["git", "write-tree"], cwd=made.path, env=index, capture_output=True, text=True, check=True)
    person = ["-c", "user.name=x", "-c", "user.email=x"]
    commit = subprocess.run(
        ["git", *person, "commit-tree", "-p", "main", "-m", "links", tree.stdout.strip()],
        cwd=made.path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    subprocess.run(["git", "update-ref", "refs/heads/main", commit.stdout.strip()], cwd=made.path, check=True)
    wish = made.wish(split(5, name="other"), key=Key("default", "other"), expect=None, file=file)
    with pytest.raises(PolicyPlaceError):
        made.desk.write(wish)
    assert made.tip().id == commit.stdout.strip()


def test_a_policy_stays_in_its_file(made: Office) -> None:
    """Moving one is for Git."""
    with pytest.raises(PolicyPlaceError):
        made.desk.write(made.wish(split(20), file="policies/x.yaml"))


def test_what_cannot_be_told_apart_is_left_alone(made: Office) -> None:
    """Two documents of one name, and one that shares its line: neither is guessed at."""
    made.people({"twice.yaml": split(10)})
    with pytest.raises(RefusedChangeError, match="2 documents"):
        made.desk.read("VirtualService", KEY)
    made.people({"twice.yaml": None, "reviews.yaml": None})
    flow = "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: g}, spec: {}}"
    made.people({"reviews.yaml": f"--- {flow}\n"})
    with pytest.raises(RefusedChangeError, match="no lines of its own"):
        made.desk.read("Gateway", Key("default", "g"))


def test_a_branch_that_takes_no_commits_says_how_to_go_on(made: Office) -> None:
    """A checked-out branch with uncommitted work is not pulled from under its owner."""
    work = made.path.parent / "work"
    subprocess.run(["git", "worktree", "add", "-q", str(work), "main"], cwd=made.path, check=True)
    (work / "policies" / "service.yaml").write_text("# mine\n")
    with pytest.raises(RefusedChangeError) as raised:
        made.desk.write(made.wish(split(20)))
    assert raised.value.code == "git-dirty-work-tree"
    assert (work / "policies" / "service.yaml").read_text() == "# mine\n"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "5", '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1e999}', '{"a": 99999999999999999999}', '{"a": "\\ud800"}', '{"\\udc00": 1}', "{" * 5000, '{"a":' * 200 + "1" + "}" * 200, "\xff", "{} {}"],
)  # fmt: skip
def test_json_that_yaml_cannot_say_is_refused(text: str) -> None:
    """Nothing is rounded, dropped or guessed."""
    with pytest.raises(PolicyTextError):
        yaml_of(text.encode("latin-1"))


def test_json_is_written_as_yaml_that_reads_the_same() -> None:
    """Keys keep their order."""
    assert (
        yaml_of(b'{"kind": "A", "b": ["yes", "1", 1, null, "\\u00e9\\ud83d\\ude00\\n"]}')
        .decode()
        .startswith("kind: A\nb:\n")
    )


def test_every_error_of_the_desk_says_what_to_do(made: Office) -> None:
    """A hint for each that a client can mend."""
    for wish in (made.wish(split(20), expect=None), made.wish(split(20), expect=frozenset()), made.wish(RULE)):
        with pytest.raises(ReconcilerError) as raised:
            made.desk.write(wish)
        assert raised.value.diagnostics[0].hint


def test_writers_take_turns_and_none_waits_for_ever(tmp_path: Path) -> None:
    """Who waits too long is told to come back, and nothing was written for them."""
    entered, going_on = threading.Event(), threading.Event()

    def meanwhile(_: Office) -> None:
        entered.set()
        assert going_on.wait(60)

    with office(tmp_path / "r.git", between=meanwhile) as made, ThreadPoolExecutor(1) as pool:
        made.desk._patience = 0.05
        first = pool.submit(made.desk.write, made.wish(split(20)))
        assert entered.wait(60)
        try:
            with pytest.raises(DeskBusyError):
                made.desk.write(made.wish(split(15)))
        finally:
            going_on.set()
        assert first.result(60).commit == made.tip().id
