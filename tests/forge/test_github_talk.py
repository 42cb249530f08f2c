"""What is said on GitHub: which comment is ours, what is posted once only, and what happens where the token may not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.errors import UsageError
from reconciler.forge import (
    LONGEST_COMMENT,
    Annotation,
    AnnotationLevel,
    CheckConclusion,
    CheckForm,
    Conversation,
    ForgeAuthenticationError,
    ForgePermissionError,
    ForgeRefusedError,
    ForgeUnavailableError,
    RateLimitedError,
    StatusState,
    TokenFileError,
    Written,
    conversation,
)
from reconciler.settings import ForgeSettings
from tests.forge.conftest import Hand
from tests.forge.server import TOKEN, Account, ForgeServer

KEY = "preview/gateway"
LINE = f"<!-- envoy-reconciler:{KEY} -->"
WORKFLOW = "ghs_workflow"


def settings(forge: ForgeServer) -> ForgeSettings:
    return ForgeSettings(
        kind="github", repository=forge.repository, api=forge.api, token_file=str(forge.token_file)
    )  # fmt: skip


@pytest.fixture
def talk(forge: ForgeServer, clock: Hand) -> Iterator[Conversation]:
    """A person's token, on a forge with one pull request."""
    forge.hosted.git("update-ref", "refs/heads/change", forge.hosted.tip("main"))
    forge.hosted.push("change", {"policies/reviews.yaml": b"weight: 7\n"}, "More")
    forge.hosted.open(head="change", base="main", title="More", body="")
    found = conversation(settings(forge), clock=clock)
    yield found
    found.close()


@pytest.fixture
def app(forge: ForgeServer) -> None:
    """The token is a workflow's: it has no user, and may write check runs."""
    forge.tokens[WORKFLOW] = "write"
    forge.accounts[WORKFLOW] = Account("github-actions[bot]", app=True)
    forge.token_file.write_text(WORKFLOW)


def said(forge: ForgeServer) -> list[str]:
    return [comment["body"] for comment in forge.said.comments.get(1, [])]


def test_a_comment_is_written_once_and_then_kept_up_to_date(forge: ForgeServer, talk: Conversation) -> None:
    """The first call writes it, the same body writes nothing, another body replaces it: people see one."""
    first = talk.comment(1, key=KEY, body="5% to v2")
    assert (first.written, first.url) == (
        Written.CREATED,
        f"https://github.com/acme/mesh/pull/1#issuecomment-{first.number}",
    )
    asked = len(forge.writes)
    assert talk.comment(1, key=KEY, body="5% to v2").written is Written.UNCHANGED
    assert len(forge.writes) == asked

    after = talk.comment(1, key=KEY, body="7% to v2")

    assert (after.written, after.number) == (Written.UPDATED, first.number)
    assert said(forge) == [f"{LINE}\n7% to v2"]


def test_each_key_has_a_comment_of_its_own(forge: ForgeServer, talk: Conversation) -> None:
    """Two jobs on one pull request do not replace each other's words."""
    talk.comment(1, key=KEY, body="a")
    talk.comment(1, key="preview/gateway2", body="b")
    assert talk.comment(1, key=KEY, body="a").written is Written.UNCHANGED
    assert len(said(forge)) == 2


def test_a_comment_may_be_left_unwritten(forge: ForgeServer, talk: Conversation) -> None:
    """Where nothing changes nobody is told, but a comment that says otherwise is replaced."""
    assert talk.comment(1, key=KEY, body="nothing", create=False).written is Written.ABSENT
    assert said(forge) == []
    talk.comment(1, key=KEY, body="5%")
    assert talk.comment(1, key=KEY, body="nothing", create=False).written is Written.UPDATED


def test_comments_of_others_are_never_touched(forge: ForgeServer, talk: Conversation) -> None:
    """Anybody can write our marker, and anybody can quote it."""
    forge.said.say(1, f"{LINE}\nI am the preview", login="mallory")
    forge.said.say(1, f"Look at this:\n{LINE}\nfunny", login="rollouts-bot")
    assert talk.comment(1, key=KEY, body="5%").written is Written.CREATED
    assert said(forge)[0] == f"{LINE}\nI am the preview"
    assert len(said(forge)) == 3
    assert forge.said.comments[1][0]["user"]["login"] == "mallory"


def test_the_oldest_is_kept_and_duplicates_go(forge: ForgeServer, talk: Conversation) -> None:
    """Two jobs that began together wrote one each. A duplicate that can't be removed is not counted."""
    numbers = [forge.said.say(1, f"{LINE}\n{n}", login="rollouts-bot")["id"] for n in range(3)]
    forge.fail(404, {"message": "Not Found"}, method="DELETE")
    result = talk.comment(1, key=KEY, body="0")
    assert (result.written, result.number, result.removed) == (Written.UNCHANGED, numbers[0], 1)
    assert said(forge) == [f"{LINE}\n0", f"{LINE}\n1"]


def test_ours_is_found_on_any_page(forge: ForgeServer, talk: Conversation) -> None:
    """A long discussion comes before it."""
    for n in range(230):
        forge.said.say(1, f"I think {n}")
    talk.comment(1, key=KEY, body="5%")
    assert talk.comment(1, key=KEY, body="6%").written is Written.UPDATED
    assert said(forge)[-1] == f"{LINE}\n6%"


def test_a_comment_that_somebody_hid_is_left_hidden(forge: ForgeServer, talk: Conversation) -> None:
    """People see none then, so a new one is written."""
    first = talk.comment(1, key=KEY, body="5%")
    forge.said.hidden.add(f"IC_{first.number}")
    again = talk.comment(1, key=KEY, body="6%")
    assert (again.written, again.number != first.number) == (Written.CREATED, True)
    assert talk.comment(1, key=KEY, body="7%").number == again.number


@pytest.mark.parametrize("graphql", [True, False])
@pytest.mark.usefixtures("app")
def test_a_workflow_knows_its_own_comments(forge: ForgeServer, talk: Conversation, *, graphql: bool) -> None:
    """It may not ask who it is by REST. Without GraphQL every bot's comment with the marker is taken for its own."""
    forge.graphql = graphql
    forge.said.say(1, f"{LINE}\nfrom a person", login="ada")
    other = forge.said.say(1, f"{LINE}\nfrom another bot", login="other[bot]", kind="Bot")
    result = talk.comment(1, key=KEY, body="5%")
    assert (result.number == other["id"]) == (not graphql)
    assert talk.comment(1, key=KEY, body="6%").number == result.number
    assert f"{LINE}\nfrom a person" in said(forge)


def test_a_person_is_known_without_graphql(forge: ForgeServer, talk: Conversation) -> None:
    """REST says who they are."""
    forge.graphql = False
    forge.said.say(1, f"{LINE}\nno", login="ada")
    number = talk.comment(1, key=KEY, body="5%").number
    assert talk.comment(1, key=KEY, body="6%").number == number


def test_ends_of_lines_are_no_change(forge: ForgeServer, talk: Conversation) -> None:
    """A forge may keep them in its own way."""
    talk.comment(1, key=KEY, body="a\nb")
    forge.said.comments[1][0]["body"] = f"{LINE}\r\na\r\nb\r\n"
    assert talk.comment(1, key=KEY, body="a\nb").written is Written.UNCHANGED


@pytest.mark.parametrize("key", ["", "a b", "a--b", "-a", "a-", "a>b", "ü"])
def test_a_key_that_would_break_the_marker_is_refused(talk: Conversation, key: str) -> None:
    """It stands in an HTML comment."""
    with pytest.raises(UsageError, match="key"):
        talk.comment(1, key=key, body="5%")


@pytest.mark.parametrize("body", ["", " \n", "x" * (LONGEST_COMMENT + 1)])
def test_a_body_that_no_forge_takes_is_refused_before_it_is_sent(
    forge: ForgeServer, talk: Conversation, body: str
) -> None:
    """Who writes it knows what may be left out; we don't."""
    with pytest.raises(UsageError, match="characters"):
        talk.comment(1, key=KEY, body=body)
    assert forge.calls == []


def test_the_longest_body_is_taken(talk: Conversation) -> None:
    """With its marker it is still below what GitHub takes."""
    assert talk.comment(1, key=KEY, body="ü" * LONGEST_COMMENT).written is Written.CREATED


def test_comments_wait_longer_for_each_other(talk: Conversation, clock: Hand) -> None:
    """Three seconds between two that people get mail of; one before any other write."""
    talk.comment(1, key="a", body="5%")
    talk.comment(1, key="b", body="5%")
    talk.comment(1, key="b", body="6%")
    assert clock.slept == [1, 2, 1]


def test_no_such_pull_request_is_told(talk: Conversation) -> None:
    """In the forge's words, and with what else it may mean."""
    with pytest.raises(ForgePermissionError, match="Not Found") as caught:
        talk.comment(99, key=KEY, body="5%")
    assert "permission is missing" in caught.value.diagnostics[0].hint


def test_a_status_is_set_once(forge: ForgeServer, talk: Conversation, clock: Hand) -> None:
    """What stands there is not posted again, not even by another process; what is newer replaces it."""
    commit = forge.hosted.tip("main")

    def put(state: StatusState, words: str) -> Written:
        return talk.set_status(commit, context="mesh/live", state=state, description=words, url="https://x.example")

    assert put(StatusState.PENDING, "1/2") is Written.CREATED
    assert put(StatusState.PENDING, "1/2") is Written.UNCHANGED
    assert put(StatusState.SUCCESS, "2/2") is Written.CREATED
    other = conversation(settings(forge), clock=clock)
    assert other.set_status(
        commit, context="Mesh/Live", state=StatusState.SUCCESS, description="2/2", url="https://x.example"
    ) is Written.UNCHANGED  # fmt: skip
    other.close()
    assert [item["state"] for item in forge.said.statuses[commit]] == ["pending", "success"]


def test_the_newest_status_of_a_context_is_found_among_many(forge: ForgeServer, talk: Conversation) -> None:
    """Others set statuses too, and lists have pages."""
    commit = forge.hosted.tip("main")
    talk.set_status(commit, context="mine", state=StatusState.SUCCESS, description="a")
    for n in range(150):
        forge.said.statuses[commit].append({"context": f"o{n}", "state": "success", "description": None})
    assert talk.set_status(commit, context="mine", state=StatusState.SUCCESS, description="a") is Written.UNCHANGED


def test_a_description_is_one_line_of_what_github_takes(forge: ForgeServer, talk: Conversation) -> None:
    """Cut, with a sign that it was; a code point is one character there."""
    commit = forge.hosted.tip("main")
    talk.set_status(commit, context="c", state=StatusState.ERROR, description="𝄞a\nb " + "x" * 200)
    state, words = forge.said.state(commit, "c")
    assert (state, len(words), words[:5], words[-1]) == ("error", 140, "𝄞a b ", "…")


def test_a_commit_that_is_not_there_is_refused(talk: Conversation) -> None:
    """In the forge's words."""
    with pytest.raises(ForgeRefusedError, match="No commit found"):
        talk.set_status("0" * 40, context="c", state=StatusState.ERROR, description="x")


def noted(count: int) -> list[Annotation]:
    return [
        Annotation(path="policies/a.yaml", line=n + 1, column=3, title="weights-sum", message=f"Wrong {n}")
        for n in range(count)
    ]


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (50, 1), (51, 2), (120, 3)])
@pytest.mark.usefixtures("app")
def test_a_check_run_has_all_its_annotations(forge: ForgeServer, talk: Conversation, count: int, requests: int) -> None:
    """Fifty a request; the further ones are added to the run."""
    commit = forge.hosted.tip("change")
    result = talk.check(
        commit,
        name="policies",
        conclusion=CheckConclusion.FAILURE,
        title="Invalid",
        summary="s" * 70_000,
        annotations=noted(count),
        url="https://x.example",
    )
    (run,) = forge.said.checks
    assert (run["head_sha"], run["conclusion"], run["details_url"]) == (commit, "failure", "https://x.example")
    assert [item["message"] for item in run["annotations"]] == [f"Wrong {n}" for n in range(count)]
    assert (result.form, result.annotations, result.url, result.note) == (
        CheckForm.CHECK_RUN,
        count,
        run["html_url"],
        "",
    )
    assert len(forge.writes) == requests


@pytest.mark.usefixtures("app")
def test_more_annotations_than_anybody_reads_are_counted(forge: ForgeServer, talk: Conversation) -> None:
    """What is left out is told by the number."""
    result = talk.check(
        forge.hosted.tip("change"),
        name="policies",
        conclusion=CheckConclusion.FAILURE,
        title="Invalid",
        summary="s",
        annotations=noted(510),
    )
    assert (result.annotations, len(forge.said.checks[0]["annotations"])) == (500, 500)


@pytest.mark.usefixtures("app")
def test_an_annotation_over_several_lines_has_no_columns(forge: ForgeServer, talk: Conversation) -> None:
    """GitHub refuses them there."""
    several = Annotation(path="a", line=2, end_line=4, column=7, level=AnnotationLevel.NOTICE, message="x")
    one = Annotation(path="a", line=2, column=7, message="x")
    talk.check(
        forge.hosted.tip("change"),
        name="n",
        conclusion=CheckConclusion.NEUTRAL,
        title="",
        summary="s",
        annotations=[several, one],
    )
    first, second = forge.said.checks[0]["annotations"]
    assert (first["start_line"], first["end_line"], "start_column" in first) == (2, 4, False)
    assert (second["start_column"], second["end_column"]) == (7, 7)


def test_a_token_that_is_no_apps_leaves_a_status(forge: ForgeServer, talk: Conversation) -> None:
    """It is said why, and what it would need."""
    commit = forge.hosted.tip("change")
    result = talk.check(commit, name="policies", conclusion=CheckConclusion.FAILURE, title="2 errors", summary="s")
    assert result.form is CheckForm.STATUS
    assert "checks: write" in result.note
    assert "authenticate via a GitHub App" in result.note
    assert forge.said.state(commit, "policies") == ("failure", "2 errors")


def test_open_pull_requests_are_found_by_their_commit(forge: ForgeServer, talk: Conversation) -> None:
    """Those from forks too, which a job that begins after another is not told of."""
    fork = forge.hosted.open_from_fork("mallory", {"README.md": b"Hi.\n"}, title="Hi")
    assert [pull.number for pull in talk.open_pulls()] == [2, 1]
    (found,) = talk.open_at(fork.head_sha)
    assert (found.number, found.head) == (2, "")
    assert talk.get(1).head == "change"
    assert talk.open_at("0" * 40) == ()


def test_changed_files_are_listed_with_old_names(forge: ForgeServer, talk: Conversation) -> None:
    """A renamed file changes both places."""
    forge.hosted.push("change", {f"policies/{n:03}.yaml": b"x\n" * n for n in range(120)}, "Many")
    assert len(talk.changed_files(1)) == 121
    assert talk.changed_files(1)[-1] == "policies/reviews.yaml"


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_commit_knows_the_pull_request_that_brought_it(forge: ForgeServer, talk: Conversation, how: str) -> None:
    """However it was merged; one that was pushed has none."""
    landed = forge.hosted.merge(1, how)
    assert [(pull.number, pull.head_sha) for pull in talk.landed_as(landed)] == [(1, forge.hosted.tip("change"))]
    assert talk.landed_as(forge.hosted.push("main", {"a": b"a"}, "Pushed")) == ()


@pytest.mark.usefixtures("talk")
def test_a_patient_conversation_waits_as_it_is_told(forge: ForgeServer, clock: Hand) -> None:
    """For a secondary limit and for trouble; what was done already is not done again."""
    patient = conversation(settings(forge), clock=clock, patience=100)
    forge.fail(403, {"message": "You have exceeded a secondary rate limit."}, headers={"Retry-After": "30"})
    forge.fail(502, b"bad gateway", method="POST", path="/comments", after=True)
    result = patient.comment(1, key=KEY, body="5%")
    patient.close()
    assert result.written is Written.UNCHANGED
    assert said(forge) == [f"{LINE}\n5%"]
    assert 30 in clock.slept


@pytest.mark.usefixtures("talk")
def test_patience_ends(forge: ForgeServer, clock: Hand) -> None:
    """A wait that is longer than what is left is not begun."""
    patient = conversation(settings(forge), clock=clock, patience=100)
    forge.fail(429, {"message": "slow"}, headers={"Retry-After": "101"})
    with pytest.raises(RateLimitedError):
        patient.open_pulls()
    patient.close()
    assert clock.slept == []


def test_what_tokens_lack_ends_a_comment(forge: ForgeServer, talk: Conversation) -> None:
    """A token that expired between two calls is not taken for a server without GraphQL."""
    talk.comment(1, key=KEY, body="5%")
    forge.fail(401, {"message": "Bad credentials"}, path="/graphql")
    with pytest.raises(ForgeAuthenticationError):
        talk.comment(1, key=KEY, body="6%")
    forge.token_file.unlink()
    with pytest.raises(TokenFileError):
        talk.comment(1, key=KEY, body="6%")


@pytest.mark.parametrize("document", [{}, {"id": "x"}, []])
@pytest.mark.usefixtures("app")
def test_garbage_is_for_later(forge: ForgeServer, talk: Conversation, document: object) -> None:
    """An answer that is no comment, and no check run."""
    forge.fail(201, document, method="POST")
    with pytest.raises(ForgeUnavailableError, match="something else"):
        talk.comment(1, key=KEY, body="5%")


@pytest.mark.usefixtures("app")
def test_a_check_run_without_an_id_is_garbage(forge: ForgeServer, talk: Conversation) -> None:
    """No annotations could be added to it."""
    forge.fail(201, {}, method="POST")
    with pytest.raises(ForgeUnavailableError, match="no check run"):
        talk.check(
            forge.hosted.tip("main"), name="n", conclusion=CheckConclusion.SUCCESS, title="t", summary="s"
        )  # fmt: skip


def test_a_list_of_something_else_is_garbage(forge: ForgeServer, talk: Conversation) -> None:
    """Pull requests without numbers."""
    forge.fail(200, [{"state": "open"}])
    with pytest.raises(ForgeUnavailableError, match="no pull request"):
        talk.open_pulls()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "gitea"}, "'gitea' is not a forge"),
        ({"kind": ""}, "is not a forge"),
        ({"repository": ""}, "no repository"),
        ({"token_file": ""}, "no token file"),
        ({"repository": "acme"}, "not the name of a repository"),
        ({"kind": "gitlab", "repository": "acme"}, "not a project"),
        ({"api": "ftp://x"}, "not the address"),
    ],
)
def test_settings_that_name_no_forge_are_refused(clock: Hand, change: dict[str, str], words: str) -> None:
    """Before anything is asked, with what is missing."""
    whole = {"kind": "github", "repository": "acme/mesh", "token_file": "/x"}
    with pytest.raises(UsageError, match=words):
        conversation(ForgeSettings(**whole | change), clock=clock)


def test_the_token_is_in_no_message(forge: ForgeServer, talk: Conversation) -> None:
    """Not even if the forge repeats it."""
    forge.fail(403, {"message": f"no rights for {TOKEN}"})
    with pytest.raises(ForgePermissionError) as caught:
        talk.open_pulls()
    assert TOKEN not in str(caught.value)
