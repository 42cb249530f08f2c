from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.serving.history import History
from reconciler.clock import SystemClock
from reconciler.gitrepo import Repository, open_repository
from reconciler.settings import GitSettings
from reconciler.web import UnknownPathError
from tests.cli.rollout.walk import Walk, first_steps


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    made = Walk(tmp_path / "mesh.git")
    first_steps(made)
    return made


@pytest.fixture
def repository(walk: Walk) -> Iterator[Repository]:
    with open_repository(str(walk.path), GitSettings()) as opened:
        yield opened


@pytest.fixture
def history(repository: Repository) -> History:
    return History(repository, "main", record=lambda: "reconciler/record", clock=SystemClock())


def plain(document: Any) -> Any:
    """It has to be JSON as it is."""
    assert json.loads(json.dumps(document)) == document
    assert document["schema_version"] == 1
    return document


def test_rollouts_are_what_the_command_line_says(history: History, walk: Walk) -> None:
    """The same rows and details, and the curve that `--plot` draws."""
    (row,) = plain(history.rollouts())["rollouts"]
    assert (row["name"], row["phase"], row["weight"], row["waiting"]) == (
        "details", "Progressing", 25.0, "waits for more requests",
    )  # fmt: skip
    shown = plain(history.rollout("default", "details"))["rollout"]
    assert {name: shown[name] for name in ("name", "step", "stable", "canary")} == {
        "name": "details", "step": row["step"], "stable": "v1", "canary": "v2",
    }  # fmt: skip
    curve = shown["curve"]
    assert [value for _, value in curve["weight"]][-1] == 25.0
    assert curve["moments"][0]["mark"] == "step"
    assert curve["success"]["limit"] == 99.0
    assert all(
        at.endswith("Z") for at in (curve["start"], curve["end"], curve["weight"][0][0], curve["moments"][0]["at"])
    )
    assert walk.commits[-1] == plain(history.rollouts())["head"]


def test_a_new_commit_is_seen_without_being_told(history: History, walk: Walk) -> None:
    """What is remembered is of the tips of both branches, and of nothing else."""
    assert history.rollouts()["rollouts"][0]["phase"] == "Progressing"
    walk.step("phase: Paused, step: 3, reason: by hand", 25)
    assert history.rollouts()["rollouts"][0]["phase"] == "Paused"


def test_what_is_not_there_is_not_found(history: History) -> None:
    """Another name of a rollout, and a commit of no branch that is shown: not found, with the words of the command line."""
    with pytest.raises(UnknownPathError, match="there is no rollout") as rollout_error:
        history.rollout("default", "detail")
    assert rollout_error.value.code == "rollout-unknown"
    with pytest.raises(UnknownPathError) as commit_error:
        history.commit("0" * 40)
    assert commit_error.value.code == "commit-unknown"


def test_the_timeline_has_both_branches_and_leads_to_their_commits(history: History) -> None:
    """Each entry names a commit that can be looked at, with what it changed."""
    page = plain(history.timeline(before="", limit=3))
    assert len(page["entries"]) == 3
    rest = plain(history.timeline(before=page["next"], limit=100))
    assert rest["next"] is None
    entries = [*page["entries"], *rest["entries"]]
    assert {entry["branch"] for entry in entries} == {"policy", "record"}
    for entry in entries:
        shown = plain(history.commit(entry["commit"]))
        assert (shown["subject"], shown["kind"]) == (entry["subject"], entry["kind"])
        assert entry["at"].endswith("Z")
    first = history.commit(entries[-1]["commit"])
    assert all(item["action"] == "create" and item["text"].startswith("@@") for item in first["files"])
    assert {item["path"].partition("/")[0] for item in first["files"]} == {"policies"}
