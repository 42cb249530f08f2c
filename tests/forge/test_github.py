"""The client of GitHub's API: what it asks, what it makes of answers, and when it leaves the forge in peace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import PermanentError, ReconcilerError, TransientError, UsageError
from reconciler.forge import (
    ExistsError,
    ForgeAuthenticationError,
    ForgePermissionError,
    ForgeRefusedError,
    ForgeUnavailableError,
    GitHub,
    PullState,
    RateLimitedError,
    TokenFileError,
)
from reconciler.forge.pull import github_pull
from reconciler.gitrepo import PushRefusedError, open_repository
from reconciler.settings import AdminSettings, GitSettings
from tests.forge.conftest import START, Hand
from tests.forge.server import TOKEN, ForgeServer
from tests.http.servers import always, answer, serving

BRANCH = "reconciler/rollout/default/reviews"


def opened(forge: ForgeServer, github: GitHub, branch: str = BRANCH) -> int:
    forge.hosted.git("update-ref", f"refs/heads/{branch}", forge.hosted.tip("main"))
    forge.hosted.push(branch, {"policies/reviews.yaml": branch.encode()}, "Step")
    return github.create(head=branch, base="main", title="Step", body="Why.\n\nRollout: default/reviews\n").number


def refused(call: Callable[[], object], kind: type[ReconcilerError]) -> ReconcilerError:
    with pytest.raises(kind) as caught:
        call()
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_pull_request_is_opened_found_edited_and_closed(forge: ForgeServer, github: GitHub) -> None:
    """What was sent is what is read back, by number and by branch."""
    number = opened(forge, github)
    (found,) = github.find(BRANCH)
    assert found == github.get(number)
    assert (found.number, found.state, found.merged, found.head, found.base) == (1, "open", False, BRANCH, "main")
    assert (found.title, found.body) == ("Step", "Why.\n\nRollout: default/reviews\n")
    assert found.head_sha == forge.hosted.tip(BRANCH)
    assert (found.url, found.author) == ("https://github.com/acme/mesh/pull/1", "rollouts-bot")

    edited = github.edit(number, title="Other", state=PullState.CLOSED)

    assert (edited.title, edited.body, edited.state) == ("Other", found.body, "closed")
    assert github.find(BRANCH) == (edited,)


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_merged_is_told_from_closed(forge: ForgeServer, github: GitHub, how: str) -> None:
    """Lists say it too, although they leave the field `merged` out."""
    number = opened(forge, github)
    forge.hosted.merge(number, how)
    (listed,) = github.find(BRANCH)
    assert (listed.state, listed.merged, listed.open) == ("closed", True, False)
    assert github.get(number).merged


def test_only_pull_requests_of_the_branch_are_found(forge: ForgeServer, github: GitHub) -> None:
    """All of them, whatever their state, the newest first."""
    first = opened(forge, github)
    opened(forge, github, "reconciler/rollout/default/ratings")
    github.edit(first, state=PullState.CLOSED)
    second = github.create(head=BRANCH, base="main", title="Again", body="").number
    assert [pull.number for pull in github.find(BRANCH)] == [second, first] == [3, 1]
    assert github.find("reconciler/rollout/default/other") == ()


def test_a_list_is_read_over_its_pages(forge: ForgeServer, github: GitHub) -> None:
    """The next page is where the answer says; the page that has ended is not guessed."""
    forge.hosted.pulls[opened(forge, github)].state = "closed"
    for number in range(2, 102):
        forge.hosted.pulls[number] = replace(forge.hosted.pulls[1], number=number)
    assert [pull.number for pull in github.find(BRANCH)] == list(range(101, 0, -1))
    assert [call.target.rpartition("&page=")[2] for call in forge.calls[-2:]][1] == "2"


def test_what_has_not_changed_is_not_sent_again(forge: ForgeServer, github: GitHub) -> None:
    """Polling is conditional, which GitHub does not count; a change is seen."""
    number = opened(forge, github)
    before = github.find(BRANCH)
    assert github.find(BRANCH) == before
    assert [call.status for call in forge.calls[-2:]] == [200, 304]
    forge.hosted.close(number)
    assert not github.find(BRANCH)[0].open
    assert forge.calls[-1].status == 200


def test_an_open_one_of_the_branch_is_told(forge: ForgeServer, github: GitHub) -> None:
    """A second one from the same branch to the same branch is an error of its own: it can be adopted."""
    opened(forge, github)
    error = refused(lambda: github.create(head=BRANCH, base="main", title="t", body=""), ExistsError)
    assert "already exists for acme:reconciler/rollout/default/reviews" in error.message


def test_no_commits_between_is_refused(forge: ForgeServer, github: GitHub) -> None:
    """An empty proposal is refused by name, and not asked for again at once."""
    forge.hosted.git("update-ref", f"refs/heads/{BRANCH}", forge.hosted.tip("main"))
    for _ in range(2):
        error = refused(lambda: github.create(head=BRANCH, base="main", title="t", body=""), ForgeRefusedError)
        assert "No commits between main and" in error.message
    assert len(forge.writes) == 1


def test_a_branch_that_is_not_there_is_refused(github: GitHub) -> None:
    """The field that is wrong is named."""
    error = refused(lambda: github.create(head="nothing", base="main", title="t", body=""), ForgeRefusedError)
    assert "422: Validation Failed; head invalid" in error.message


def test_writes_are_a_second_apart(forge: ForgeServer, github: GitHub, clock: Hand) -> None:
    """As GitHub asks for; reads are not held up."""
    number = opened(forge, github)
    assert clock.slept == []
    github.get(number)
    github.edit(number, title="a")
    clock.passed += 0.25
    github.edit(number, title="b")
    clock.passed += 5
    github.edit(number, title="c")
    assert clock.slept == [1.0, 0.75]


def test_the_token_is_read_at_each_call(forge: ForgeServer, github: GitHub) -> None:
    """A token that is replaced counts at once, also after the old one was refused."""
    forge.token_file.write_text("ghs_other")
    error = refused(lambda: github.find(BRANCH), ForgeAuthenticationError)
    assert "ghs_other" not in str(error)
    assert str(forge.token_file) in error.diagnostics[0].hint
    refused(lambda: github.find(BRANCH), ForgeAuthenticationError)
    assert len(forge.calls) == 1
    forge.token_file.write_text(TOKEN)
    assert github.find(BRANCH) == ()


def test_a_refusal_is_asked_about_again_after_a_while(forge: ForgeServer, github: GitHub, clock: Hand) -> None:
    """Somebody may have given the permission since: once a minute is enough to see it."""
    forge.tokens[TOKEN] = "none"
    error = refused(lambda: github.find(BRANCH), ForgePermissionError)
    assert "404: Not Found" in error.message
    assert "permission" in error.diagnostics[0].hint
    forge.tokens[TOKEN] = "write"
    refused(lambda: github.find(BRANCH), ForgePermissionError)
    clock.passed += 60
    assert github.find(BRANCH) == ()


def test_a_token_that_may_only_read_is_told(forge: ForgeServer, github: GitHub) -> None:
    """It fails where it writes, and goes on reading."""
    number = opened(forge, github)
    forge.tokens[TOKEN] = "read"
    error = refused(lambda: github.edit(number, title="x"), ForgePermissionError)
    assert "403: Resource not accessible" in error.message
    assert github.get(number).title == "Step"


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"two words", b"\xff\xfe", "t\u00f6ken".encode()])
def test_a_file_that_holds_no_token_is_named(forge: ForgeServer, github: GitHub, content: bytes | None) -> None:
    """Nothing is asked then, and what is in the file is not shown."""
    if content is None:
        forge.token_file.unlink()
    else:
        forge.token_file.write_bytes(content)
    error = refused(lambda: github.find(BRANCH), TokenFileError)
    assert str(forge.token_file) in error.message
    assert "two words" not in str(error)
    assert forge.calls == []


LIMITS = [
    (429, {"Retry-After": "120"}, 120.0),
    (403, {"Retry-After": "7"}, 7.0),
    (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1767323145"}, 100.0),
    (429, {"Retry-After": "Fri, 02 Jan 2026 03:04:35 GMT"}, 30.0),
    (429, {"Retry-After": "soon"}, 60.0),
    (429, {}, 60.0),
    (429, {"Retry-After": "0"}, 1.0),
    (429, {"Retry-After": "86400"}, 3600.0),
]


@pytest.mark.parametrize(("status", "headers", "wait"), LIMITS)
def test_a_limit_is_waited_out(
    forge: ForgeServer, github: GitHub, clock: Hand, status: int, headers: dict[str, str], wait: float
) -> None:
    """Until the time that the forge says nothing is asked, reads and writes alike; then it is asked again."""
    forge.fail(status, {"message": "You have exceeded a secondary rate limit."}, headers=headers)
    error = refused(lambda: github.find(BRANCH), RateLimitedError)
    assert isinstance(error, TransientError)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == pytest.approx(wait)
    clock.passed += wait - 0.5
    refused(lambda: github.edit(1, title="x"), RateLimitedError)
    assert len(forge.calls) == 1
    clock.passed += 0.5
    assert github.find(BRANCH) == ()


def test_a_403_without_a_sign_of_a_limit_is_about_permissions(forge: ForgeServer, github: GitHub) -> None:
    """Waiting would not help."""
    forge.fail(403, {"message": "Resource not accessible by integration"})
    refused(lambda: github.find(BRANCH), ForgePermissionError)


def test_limits_without_a_time_are_waited_for_longer_each_time(forge: ForgeServer, github: GitHub, clock: Hand) -> None:
    """A forge that goes on limiting us is asked less and less; a good answer ends that."""
    waits = []
    for _ in range(3):
        forge.fail(429, {"message": "slow down"})
        with pytest.raises(RateLimitedError) as caught:
            github.find(BRANCH)
        waits.append(caught.value.retry_after)
        clock.passed += caught.value.retry_after
    github.find(BRANCH)
    forge.fail(429, {"message": "slow down"})
    with pytest.raises(RateLimitedError) as caught:
        github.find(BRANCH)
    assert [*waits, caught.value.retry_after] == [60, 120, 240, 60]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"message": "Server Error"}),
        (502, b"<html>Bad Gateway</html>"),
        (503, b""),
        (200, b"<html>Sign in</html>"),
        (200, {"not": "a list"}),
        (200, [{"number": 1}]),
        (200, [7]),
        (200, b"\xff\xfe\x00"),
        (304, b""),
        (301, {"message": "Moved"}),
    ],
)
def test_trouble_and_garbage_are_for_later(
    forge: ForgeServer, github: GitHub, clock: Hand, status: int, body: object
) -> None:
    """Whatever a broken forge answers: a failure that is worth trying again, not at once, and no traceback."""
    forge.fail(status, body)
    with pytest.raises(ForgeUnavailableError) as caught:
        github.find(BRANCH)
    asked = len(forge.calls)
    refused(lambda: github.find(BRANCH), ForgeUnavailableError)
    assert len(forge.calls) == asked
    clock.passed += caught.value.retry_after
    assert github.find(BRANCH) == ()


def test_a_forge_that_is_down_is_not_waited_for_in_every_pass(forge: ForgeServer, github: GitHub, clock: Hand) -> None:
    """The waits double up to five minutes; when it is back it is found."""
    forge.down()
    waits = []
    for _ in range(8):
        with pytest.raises(ForgeUnavailableError) as caught:
            github.find(BRANCH)
        waits.append(caught.value.retry_after)
        clock.passed += caught.value.retry_after
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    forge.up()
    assert github.find(BRANCH) == ()


def test_a_forge_that_hangs_is_given_up(forge: ForgeServer, clock: Hand) -> None:
    """Once, for as long as a call may take; after that it is left in peace for a while."""
    hasty = AdminSettings(connect_timeout=0.2, read_timeout=0.2)
    forge.delay = 60
    with GitHub(forge.repository, token_file=forge.token_file, api=forge.api, clock=clock, settings=hasty) as github:
        error = refused(lambda: github.find(BRANCH), ForgeUnavailableError)
        assert "silent for 0.2 s" in error.message
        assert refused(lambda: github.find(BRANCH), ForgeUnavailableError).message == error.message


def test_the_server_protects_main_as_github_does(forge: ForgeServer, tmp_path: Path) -> None:
    """A push to it is refused with the code of a protected branch; nothing but a merge moves it."""
    with open_repository(forge.url, GitSettings(cache=tmp_path / "cache")) as repository:
        main = repository.resolve("main")
        with pytest.raises(PushRefusedError, match="GH006"):
            repository.commit("main", expect=main, files={"x": b"1"}, message="x", at=START)
    assert forge.hosted.tip("main") == main


def test_the_server_reopens_only_what_its_branch_still_has(forge: ForgeServer, github: GitHub) -> None:
    """As GitHub: not after a push by force, and not once it is merged."""
    number = opened(forge, github)
    forge.hosted.close(number)
    tip = forge.hosted.tip(BRANCH)
    forge.hosted.git("update-ref", f"refs/heads/{BRANCH}", "main")
    error = refused(lambda: github.edit(number, state=PullState.OPEN), ForgeRefusedError)
    assert "force-pushed or recreated" in error.message
    forge.hosted.git("update-ref", f"refs/heads/{BRANCH}", tip)
    forge.hosted.reopen(number)
    forge.hosted.merge(number, "rebase")
    assert "merged" in refused(lambda: github.edit(number, state=PullState.OPEN, title="x"), ForgeRefusedError).message


def test_a_renamed_repository_is_followed(forge: ForgeServer, github: GitHub) -> None:
    """The forge says where it is now, for reads and for writes."""
    number = opened(forge, github)
    forge.repository = "acme/fabric"
    assert github.get(number).number == number
    assert github.edit(number, title="Moved").title == "Moved"
    assert [call.status for call in forge.calls[-2:]] == [307, 200]


def test_the_token_goes_to_no_other_server(forge: ForgeServer, github: GitHub) -> None:
    """Not by a redirect, and not by the address of a next page."""
    with serving(always(answer(200, b"[]"))) as other:
        forge.fail(301, {}, headers={"Location": f"{other.address}/api/v3/repos/acme/mesh/pulls"})
        error = refused(lambda: github.find(BRANCH), ForgeUnavailableError)
        assert "another server" in error.message
        assert other.connections == 0


def test_a_next_page_on_another_server_is_not_asked_for(forge: ForgeServer, github: GitHub) -> None:
    """As with redirects."""
    with serving(always(answer(200, b"[]"))) as other:
        forge.fail(200, [], headers={"Link": f'<{other.address}/x?page=2>; rel="next"'})
        refused(lambda: github.find(BRANCH), ForgeUnavailableError)
        assert other.connections == 0


def test_redirects_end(forge: ForgeServer, github: GitHub) -> None:
    """Two names that lead to each other are no endless loop."""
    forge.fail(301, {}, headers={"Location": f"{forge.api}/repos/acme/mesh/pulls"}, times=50)
    error = refused(lambda: github.find(BRANCH), ForgeUnavailableError)
    assert "again and again" in error.message
    assert len(forge.calls) == 4


def test_a_version_that_is_gone_is_told(forge: ForgeServer, github: GitHub) -> None:
    """410 is what GitHub answers for a retired version."""
    forge.fail(410, {"message": "Gone"})
    assert "version" in refused(lambda: github.find(BRANCH), ForgeRefusedError).diagnostics[0].hint


def test_words_of_the_forge_are_one_short_line(forge: ForgeServer, github: GitHub) -> None:
    """What it says is shown without line breaks, control characters, the token, and end."""
    forge.fail(400, {"message": f"a\nb\x1b[31m {TOKEN} " + "x" * 5000})
    error = refused(lambda: github.find(BRANCH), ForgeRefusedError)
    assert "a b [31m (token) xxx" in error.message
    assert len(error.message) < 600
    assert error.message.isprintable()


@pytest.mark.parametrize("name", ["mesh", "acme/mesh/x", "", "acme/me sh", "https://github.com/acme/mesh"])
def test_a_repository_has_an_owner_and_a_name(tmp_path: Path, name: str) -> None:
    """Anything else is an error before anything is asked."""
    with pytest.raises(UsageError):
        GitHub(name, token_file=tmp_path / "token")


@pytest.mark.parametrize("api", ["github.com", "ftp://x", "https://u:secret@x/api", "unix:///x"])
def test_an_api_has_an_address(tmp_path: Path, api: str) -> None:
    """And no password in it, which would end up in messages."""
    with pytest.raises(UsageError) as caught:
        GitHub("acme/mesh", token_file=tmp_path / "token", api=api)
    assert "secret" not in str(caught.value)


def test_a_pull_request_of_a_fork_is_nobodys_branch() -> None:
    """A branch of the same name in a fork is not the branch of the repository; a deleted fork has no repository at all."""
    home = {"repo": {"full_name": "acme/mesh"}, "ref": "main", "sha": "a"}
    base = {"number": 1, "state": "open", "title": "t", "html_url": "u", "body": None, "merged_at": None, "base": home}
    for repo in ({"full_name": "mallory/mesh"}, None):
        pull = github_pull({**base, "user": None, "head": {"repo": repo, "ref": "x", "sha": "b"}})
        assert (pull.head, pull.body, pull.author) == ("", "", "")
    assert github_pull({**base, "head": {**home, "ref": "x"}}).head == "x"


def test_kinds_of_failure_say_what_to_do() -> None:
    """What a person has to mend is permanent, the rest is for later."""
    for kind in (TokenFileError, ForgeAuthenticationError, ForgePermissionError, ForgeRefusedError):
        assert issubclass(kind, PermanentError)
    assert issubclass(RateLimitedError, TransientError)
