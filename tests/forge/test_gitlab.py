"""GitLab: merge requests as the pull requests that rollouts propose, and what is said on them and on commits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import UsageError
from reconciler.forge import (
    CheckConclusion,
    CheckForm,
    Conversation,
    ExistsError,
    ForgeAuthenticationError,
    ForgePermissionError,
    ForgeRefusedError,
    ForgeUnavailableError,
    GitLab,
    PullState,
    RateLimitedError,
    StatusState,
    Written,
    conversation,
)
from reconciler.forge.merge import gitlab_pull, landed
from reconciler.settings import ForgeSettings
from tests.forge.conftest import FILES, Hand
from tests.forge.gitlab import TOKEN, GitLabServer

KEY = "preview"
LINE = f"<!-- envoy-reconciler:{KEY} -->"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitLabServer]:
    """A project with a branch `change`."""
    with GitLabServer(tmp_path / "gitlab", FILES) as found:
        found.hosted.git("update-ref", "refs/heads/change", found.hosted.tip("main"))
        found.hosted.push("change", {"policies/reviews.yaml": b"weight: 7\n"}, "More")
        yield found


@pytest.fixture
def gitlab(server: GitLabServer, clock: Hand) -> Iterator[GitLab]:
    """Its merge requests."""
    with GitLab(server.project, token_file=server.token_file, api=server.api, clock=clock) as client:
        yield client


@pytest.fixture
def talk(server: GitLabServer, clock: Hand) -> Iterator[Conversation]:
    """What is said there."""
    settings = ForgeSettings(
        kind="gitlab", repository=server.project, api=server.api, token_file=str(server.token_file)
    )  # fmt: skip
    found = conversation(settings, clock=clock)
    yield found
    found.close()


def opened(gitlab: GitLab) -> int:
    return gitlab.create(head="change", base="main", title="More", body="Why.\n\nRollout: default/reviews\n").number


def test_a_merge_request_is_opened_found_edited_and_closed(server: GitLabServer, gitlab: GitLab) -> None:
    """What was sent is what is read back, by number and by branch; the number is the project's."""
    number = opened(gitlab)
    (found,) = gitlab.find("change")
    assert found == gitlab.get(number)
    assert (found.number, found.state, found.merged, found.head, found.base) == (1, "open", False, "change", "main")
    assert (found.title, found.body) == ("More", "Why.\n\nRollout: default/reviews\n")
    assert found.head_sha == server.hosted.tip("change")
    assert (found.url, found.author) == ("https://gitlab.com/acme/traffic/mesh/-/merge_requests/1", "project_4711_bot")

    edited = gitlab.edit(number, title="Other", state=PullState.CLOSED)

    assert (edited.title, edited.body, edited.state) == ("Other", found.body, "closed")
    assert gitlab.edit(number, state=PullState.OPEN).open
    assert gitlab.find("nothing") == ()


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_merged_is_told_from_closed_and_what_landed_is_known(
    server: GitLabServer, gitlab: GitLab, talk: Conversation, how: str
) -> None:
    """GitLab names the commit in another field for each way of merging."""
    number = opened(gitlab)
    head = server.hosted.tip("change")
    commit = server.merge(number, how)
    assert (gitlab.get(number).merged, gitlab.get(number).open) == (True, False)
    assert [pull.number for pull in talk.landed_as(commit)] == [1]
    if commit != head:
        assert talk.landed_as(head) == ()


def test_an_open_one_of_the_branch_is_told(gitlab: GitLab) -> None:
    """GitLab's 409 is not for later: it can be adopted."""
    opened(gitlab)
    with pytest.raises(ExistsError, match="already exists for this source branch: !1"):
        opened(gitlab)


def test_what_is_merged_cannot_be_reopened(server: GitLabServer, gitlab: GitLab) -> None:
    """GitLab leaves it and says nothing; we do."""
    number = opened(gitlab)
    server.merge(number, "merge")
    with pytest.raises(ForgeRefusedError, match="leaves !1 merged"):
        gitlab.edit(number, state=PullState.OPEN)


def test_a_branch_that_is_not_there_is_refused(gitlab: GitLab) -> None:
    """In the forge's words."""
    with pytest.raises(ForgeRefusedError, match="400: nothing does not exist"):
        gitlab.create(head="nothing", base="main", title="t", body="")


def test_words_for_each_field_are_shown(gitlab: GitLab) -> None:
    """GitLab says what is wrong in several forms."""
    with pytest.raises(ForgeRefusedError, match="title can't be blank"):
        gitlab.create(head="change", base="main", title="", body="")


def test_what_a_token_may_not_is_told(server: GitLabServer, gitlab: GitLab) -> None:
    """A token that may read only, none that is known, and a project that it may not see."""
    server.tokens["reader"] = ("read_api", 8, "r")
    server.token_file.write_text("reader")
    with pytest.raises(ForgePermissionError, match="insufficient_scope; The request requires") as caught:
        opened(gitlab)
    assert "scope api" in caught.value.diagnostics[0].hint
    server.token_file.write_text("nobody")
    with pytest.raises(ForgeAuthenticationError, match="401 Unauthorized"):
        gitlab.get(1)
    server.token_file.write_text(TOKEN)
    server.project = "other/one"
    with pytest.raises(ForgePermissionError, match="404 Project Not Found"):
        gitlab.get(1)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"Retry-After": "42"}, 42), ({"RateLimit-Remaining": "0", "RateLimit-Reset": "1767323075"}, 30), ({}, 60)],
)
def test_a_limit_is_waited_out(server: GitLabServer, gitlab: GitLab, headers: dict[str, str], wait: float) -> None:
    """GitLab's names for what it says, in a body that is no JSON."""
    server.fail(429, b"Retry later\n", headers=headers)
    with pytest.raises(RateLimitedError) as caught:
        gitlab.get(1)
    assert caught.value.retry_after == pytest.approx(wait)


def test_a_version_that_is_gone_is_told(server: GitLabServer, gitlab: GitLab) -> None:
    """A validation that failed is no such thing there."""
    server.fail(410, {"message": "410 Gone"})
    with pytest.raises(ForgeRefusedError) as caught:
        gitlab.get(1)
    assert "version" in caught.value.diagnostics[0].hint


def test_a_project_has_a_number_or_a_path(server: GitLabServer, clock: Hand) -> None:
    """A path with all its groups is one part of the address."""
    with GitLab("4711", token_file=server.token_file, api=server.api, clock=clock) as client:
        assert client.find("change") == ()
    assert server.calls[-1].target.startswith("/api/v4/projects/4711/")
    for name in ("", "mesh", "a b/c", "/mesh", "a/"):
        with pytest.raises(UsageError, match="not a project"):
            GitLab(name, token_file=server.token_file)


def test_a_note_is_kept_up_to_date(server: GitLabServer, gitlab: GitLab, talk: Conversation) -> None:
    """One of ours; notes of others, of the system and quotes are left alone."""
    number = opened(gitlab)
    server.say(number, f"{LINE}\nmine", author=1)
    server.say(number, f"{LINE}\nmine", author=7, system=True)
    for n in range(120):
        server.say(number, f"> {LINE} {n}", author=7)

    first = talk.comment(number, key=KEY, body="5%\x00")
    server.say(number, f"{LINE}\nagain", author=7)
    same = talk.comment(number, key=KEY, body="5%\x00")
    after = talk.comment(number, key=KEY, body="6%")

    assert (first.written, same.written, after.written) == (Written.CREATED, Written.UNCHANGED, Written.UPDATED)
    assert (same.removed, first.number == after.number) == (1, True)
    assert [note["body"] for note in server.notes[number] if note["author"]["id"] == 7 and not note["system"]][-1] == (
        f"{LINE}\n6%"
    )
    assert server.notes[number][0]["body"] == f"{LINE}\nmine"
    assert talk.comment(number, key="other", body="x", create=False).written is Written.ABSENT


def test_a_duplicate_that_cannot_be_removed_is_not_counted(
    server: GitLabServer, gitlab: GitLab, talk: Conversation
) -> None:
    """The one that is kept is still right."""
    number = opened(gitlab)
    for _ in range(2):
        server.say(number, f"{LINE}\n5%", author=7)
    server.fail(403, {"message": "403 Forbidden"}, method="DELETE")
    assert talk.comment(number, key=KEY, body="5%").removed == 0


def test_no_such_merge_request_is_told(talk: Conversation) -> None:
    """In the forge's words."""
    with pytest.raises(ForgePermissionError, match="404 Not found"):
        talk.comment(99, key=KEY, body="5%")


def test_a_request_that_gitlab_finds_wrong_is_no_matter_of_versions(server: GitLabServer, talk: Conversation) -> None:
    """GitLab's 400 is about what was sent, unlike GitHub's, which may be about the version that is asked for."""
    server.fail(400, {"message": "is invalid"})
    with pytest.raises(ForgeRefusedError) as caught:
        talk.open_pulls()
    assert "version" not in caught.value.diagnostics[0].hint


def test_a_status_is_set_once(server: GitLabServer, talk: Conversation) -> None:
    """What stands there is not posted again; failure and error are one state there."""
    commit = server.hosted.tip("main")

    def put(state: StatusState, words: str) -> Written:
        return talk.set_status(commit, context="mesh/live", state=state, description=words, url="https://x.example")

    results = [
        put(StatusState.PENDING, "1/2"),
        put(StatusState.PENDING, "1/2"),
        put(StatusState.SUCCESS, "2/2"),
        put(StatusState.ERROR, "gone"),
        put(StatusState.FAILURE, "gone"),
    ]
    assert results == ["created", "unchanged", "created", "created", "unchanged"]
    assert [item["status"] for item in server.statuses[commit]] == ["pending", "success", "failed"]


@pytest.mark.parametrize("idempotent", [True, False])
def test_the_same_state_again_is_no_failure(server: GitLabServer, talk: Conversation, *, idempotent: bool) -> None:
    """Many versions of GitLab refuse `pending` after `pending`, so the words stay old there; others take it."""
    server.idempotent = idempotent
    commit = server.hosted.tip("main")
    talk.set_status(commit, context="c", state=StatusState.PENDING, description="1/2")
    again = talk.set_status(commit, context="c", state=StatusState.PENDING, description="2/3")
    assert again is (Written.CREATED if idempotent else Written.UNCHANGED)
    assert server.statuses[commit][-1]["description"] == ("2/3" if idempotent else "1/2")


def test_another_refusal_of_a_status_is_one(talk: Conversation, server: GitLabServer) -> None:
    """Only the state that it has already is no failure."""
    server.fail(400, {"message": {"name": ["is invalid"]}}, method="POST")
    with pytest.raises(ForgeRefusedError, match="name is invalid"):
        talk.set_status(server.hosted.tip("main"), context="c", state=StatusState.PENDING, description="x")
    server.fail(400, {"message": "Cannot transition status via :drop from :canceled"}, method="POST")
    with pytest.raises(ForgeRefusedError, match="from :canceled"):
        talk.set_status(server.hosted.tip("main"), context="c", state=StatusState.FAILURE, description="x")
    with pytest.raises(ForgePermissionError, match="404 Commit Not Found"):
        talk.set_status("0" * 40, context="c", state=StatusState.PENDING, description="x")


def test_there_are_no_check_runs(server: GitLabServer, talk: Conversation) -> None:
    """And that is said, not left out silently."""
    result = talk.check("0" * 40, name="policies", conclusion=CheckConclusion.FAILURE, title="t", summary="s")
    assert (result.form, server.calls) == (CheckForm.NONE, [])
    assert "no check runs" in result.note


def test_open_merge_requests_and_their_files(server: GitLabServer, gitlab: GitLab, talk: Conversation) -> None:
    """Those of forks too, which are nobody's branch here."""
    opened(gitlab)
    fork = server.hosted.open_from_fork("mallory", {"README.md": b"Hi.\n"}, title="Hi")
    assert [(pull.number, pull.head) for pull in talk.open_pulls()] == [(2, ""), (1, "change")]
    assert [pull.number for pull in talk.open_at(fork.head_sha)] == [2]
    assert talk.get(2).author == "mallory"
    assert talk.changed_files(1) == ("policies/reviews.yaml",)
    assert gitlab.find("main") == ()


def test_lists_are_read_over_their_pages(server: GitLabServer, gitlab: GitLab, talk: Conversation) -> None:
    """GitLab has twenty on a page unless asked, and a hundred at most."""
    opened(gitlab)
    server.hosted.push("change", {f"policies/{n:03}.yaml": b"x\n" for n in range(120)}, "Many")
    assert len(talk.changed_files(1)) == 121


@pytest.mark.parametrize(
    "document", [[], {}, {"state": "opened"}, {"state": "strange", "iid": 1}, {"state": "opened", "iid": "1"}]
)
def test_garbage_is_no_merge_request(document: Any) -> None:
    """Named as such, whatever it is."""
    with pytest.raises(ValueError, match=r"no merge request|no pull request"):
        gitlab_pull(document)


@pytest.mark.parametrize(
    ("status", "body"), [(200, [{"state": "opened"}]), (200, b"[" * 100_000), (502, b"[" * 100_000)]
)
def test_garbage_is_for_later(
    server: GitLabServer, gitlab: GitLab, talk: Conversation, clock: Hand, status: int, body: Any
) -> None:
    """An answer of something else, from a proxy in between; or one that is nested without end."""
    for call in (lambda: gitlab.get(1), talk.open_pulls):
        server.fail(status, body)
        with pytest.raises(ForgeUnavailableError):
            call()
    clock.passed += 10
    number = opened(gitlab)
    server.fail(201, {}, method="POST")
    with pytest.raises(ForgeUnavailableError, match="no note"):
        talk.comment(number, key=KEY, body="x")


def test_only_a_merged_one_has_landed() -> None:
    """The squashed commit goes before the merge; a fast-forward has only its own."""
    both = {"state": "merged", "squash_commit_sha": "a", "merge_commit_sha": "b", "sha": "c"}
    assert landed(both) == "a"
    assert landed({**both, "squash_commit_sha": None}) == "b"
    assert landed({"state": "merged", "squash_commit_sha": None, "merge_commit_sha": None, "sha": "c"}) == "c"
    assert landed({**both, "state": "closed"}) == landed([]) == ""
