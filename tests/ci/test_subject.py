"""Which head is merged into which base, by the variables and payloads of GitHub and GitLab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.ci.environment import surroundings
from reconciler.cli.ci.subject import NoSubjectError, Subject, subject
from tests.ci.forges import github, pull_event

HEAD, BASE, ZERO = "a" * 40, "b" * 40, "0" * 40
LAB = {
    "GITLAB_CI": "true",
    "CI_PROJECT_PATH": "acme/mesh",
    "CI_SERVER_URL": "https://lab.example",
    "CI_COMMIT_SHA": HEAD,
}


def of(environ: Any, event: Any = None, **options: str) -> tuple[str, str, str, str, int]:
    found = subject(environ, event, **options)
    return found.trigger, found.base_ref, found.base, found.head, found.number


def test_a_pull_request_is_merged_into_what_its_base_is_now(tmp_path: Path) -> None:
    """The base commit of the event is neither the current one nor where the two parted, so it is not used."""
    event = pull_event(7, HEAD, base="release/1", base_sha=BASE)
    environ = github(tmp_path, "pull_request", event)
    assert of(environ, event) == ("pull_request", "release/1", "", HEAD, 7)
    assert subject(environ, event).job == "https://github.com/acme/mesh/actions/runs/77"


def test_heads_of_other_repositories_are_known_as_such(tmp_path: Path) -> None:
    """So is one whose repository is gone; jobs for them are given nothing that is secret."""
    for fork, foreign in ((False, False), (True, True)):
        event = pull_event(7, HEAD, fork=fork)
        assert subject(github(tmp_path, "pull_request", event), event).foreign is foreign
    event = pull_event(7, HEAD)
    event["pull_request"]["head"]["repo"] = None
    assert subject(github(tmp_path, "pull_request", event), event).foreign
    request = LAB | {"CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    ids = {"CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1"}
    assert not subject(request | ids, None).foreign
    assert subject(request | ids | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2"}, None).foreign


def test_a_merge_group_and_a_push_have_fixed_bases(tmp_path: Path) -> None:
    """A group's base has the groups before it, which the branch has not; a new branch is compared with the default one."""
    group = {
        "merge_group": {"base_ref": "refs/heads/main", "base_sha": BASE, "head_sha": HEAD, "head_ref": "refs/heads/q"}
    }
    assert of(github(tmp_path, "merge_group", group), group) == ("merge_group", "main", BASE, HEAD, 0)
    push = {"ref": "refs/heads/topic", "before": BASE, "after": HEAD, "repository": {"default_branch": "main"}}
    assert of(github(tmp_path, "push", push), push) == ("push", "topic", BASE, HEAD, 0)
    new = push | {"before": ZERO}
    assert of(github(tmp_path, "push", new), new) == ("push", "main", "", HEAD, 0)


def test_gitlabs_variables_say_the_same() -> None:
    """Of merged results the head stands apart; in a train it is the train."""
    request = LAB | {"CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    assert of(request) == ("pull_request", "main", "", HEAD, 3)
    merged = request | {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": BASE}
    assert of(merged) == ("pull_request", "main", "", BASE, 3)
    assert of(merged | {"CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}) == ("merge_group", "main", "", HEAD, 3)
    push = LAB | {"CI_COMMIT_BRANCH": "topic", "CI_COMMIT_BEFORE_SHA": BASE, "CI_DEFAULT_BRANCH": "main"}
    assert of(push) == ("push", "topic", BASE, HEAD, 0)
    assert of(push | {"CI_COMMIT_BEFORE_SHA": ZERO}) == ("push", "main", "", HEAD, 0)


@pytest.mark.parametrize(
    "event",
    [
        None, [], {}, {"pull_request": None}, {"pull_request": {"head": {"sha": "main"}, "base": {"ref": "main"}}},
        {"pull_request": {"head": {"sha": "--upload-pack=x"}, "base": {"ref": "main"}}},
        {"pull_request": {"head": {"sha": HEAD}, "base": {"ref": 3}}}, {"pull_request": {"head": {"sha": ZERO}}},
    ],
)  # fmt: skip
def test_what_names_no_commit_is_refused(tmp_path: Path, event: Any) -> None:
    """A payload of another form, or one that would be an option of git's."""
    with pytest.raises(NoSubjectError):
        subject(github(tmp_path, "pull_request", event), event)


def test_other_events_and_no_ci_need_options(tmp_path: Path) -> None:
    """Options win over what the environment says."""
    for environ in ({}, github(tmp_path, "schedule", {}), LAB):
        with pytest.raises(NoSubjectError):
            subject(environ, {})
    assert of({}, base="main") == ("options", "main", "", "HEAD", 0)
    event = pull_event(7, HEAD)
    assert of(github(tmp_path, "pull_request", event), event, base="v1") == ("options", "v1", "", HEAD, 7)


def test_links_are_of_the_head_and_can_not_leave_it() -> None:
    """A file name with anything in it stays one file of one commit of one repository."""
    here = Subject(kind="github", repository="acme/mesh", server="https://github.com", head=HEAD)
    assert surroundings(here).link("policies/a b) [x](evil).yaml", 3) == (
        f"https://github.com/acme/mesh/blob/{HEAD}/policies/a%20b%29%20%5Bx%5D%28evil%29.yaml#L3"
    )
    lab = Subject(kind="gitlab", repository="acme/mesh", server="https://lab.example", head=HEAD)
    assert surroundings(lab).link("a.yaml", None) == f"https://lab.example/acme/mesh/-/blob/{HEAD}/a.yaml"
    assert surroundings(Subject()).link("a.yaml", 1) == ""
    assert surroundings(Subject(job="javascript:alert(1)")).full == ""
