"""What is to be previewed: which head is merged into which base, as continuous integration tells it. Pure; reads no Git.

GitHub: https://docs.github.com/actions/writing-workflows/choosing-when-your-workflow-runs/events-that-trigger-workflows
and the payloads beside it. GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.errors import UsageError

_ID = re.compile(r"[0-9a-f]{40}")
_NOTHING = "0" * 40
_HEADS = "refs/heads/"


class NoSubjectError(UsageError):
    """Nothing says which pull request is meant: neither options nor the variables of GitHub Actions or GitLab CI."""

    default_code = "ci-no-subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be previewed.

    Attributes:
        kind: `github`, `gitlab`, or "" outside of both.
        trigger: `pull_request`, `merge_group`, `push` or `options`.
        repository: `owner/name`, or GitLab's path of the project.
        server: Address of the forge for people, "" for none.
        base_ref: Name of the branch that is merged into.
        base: Its commit where it is fixed: in a merge queue, of a push. "" for what the branch is now.
        head: The commit that is merged; "" for the checked-out one.
        head_ref: A ref of the remote that has it, for servers that give no commit by its id.
        number: Of the pull request, 0 without one.
        job: Address of the job, "" for none.
        foreign: Whether the head comes from another repository: a fork's.
    """

    kind: str = ""
    trigger: str = "options"
    repository: str = ""
    server: str = ""
    base_ref: str = ""
    base: str = ""
    head: str = ""
    head_ref: str = ""
    number: int = 0
    job: str = ""
    foreign: bool = False

    @property
    def lands(self) -> bool:
        """Whether the base branch is moved to the head itself, if all goes well: in GitHub's merge queue."""
        return self.kind == "github" and self.trigger == "merge_group"


def subject(environ: Mapping[str, str], event: Any, *, base: str = "", head: str = "") -> Subject:
    """What is meant.

    Args:
        environ: The environment.
        event: GitHub's payload, from the file that `GITHUB_EVENT_PATH` names; None elsewhere.
        base: `--base`: a branch, here or as `origin/main`, or a commit; wins over what the environment says.
        head: `--head`, likewise.

    Raises:
        NoSubjectError: Nothing says it.
    """
    found = _of_forge(environ, event)
    if base or head:
        found = found or Subject()
        return Subject(
            kind=found.kind,
            repository=found.repository,
            server=found.server,
            job=found.job,
            foreign=found.foreign,
            number=found.number,
            base_ref=base or found.base_ref or "main",
            base="" if base else found.base,
            head=head or found.head or "HEAD",
        )
    if found is None or not found.trigger or not found.head or not (found.base or found.base_ref):
        raise NoSubjectError(
            "no pull request, merge group or push is known here",
            hint="name what is merged into what: --base main --head BRANCH",
        )
    return found


def _of_forge(environ: Mapping[str, str], event: Any) -> Subject | None:
    """None outside of both; a subject without a trigger in an event that is no change to preview."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ, event if isinstance(event, Mapping) else {})
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ)
    return None


def _github(environ: Mapping[str, str], event: Mapping[str, Any]) -> Subject:
    repository, server = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_SERVER_URL", "https://github.com")
    run = environ.get("GITHUB_RUN_ID", "")
    job = f"{server}/{repository}/actions/runs/{run}" if run.isdecimal() else ""
    here = Subject(kind="github", trigger="", repository=repository, server=server, job=job)
    match environ.get("GITHUB_EVENT_NAME", ""):
        case "pull_request" | "pull_request_target":
            number = _number(event, "pull_request", "number")
            return replace(
                here,
                trigger="pull_request",
                base_ref=_text(event, "pull_request", "base", "ref"),
                head=_commit(_text(event, "pull_request", "head", "sha")),
                head_ref=f"refs/pull/{number}/head" if number else "",
                number=number,
                foreign=_text(event, "pull_request", "head", "repo", "full_name") != repository,
            )
        case "merge_group":
            return replace(
                here,
                trigger="merge_group",
                base_ref=_text(event, "merge_group", "base_ref").removeprefix(_HEADS),
                base=_commit(_text(event, "merge_group", "base_sha")),
                head=_commit(_text(event, "merge_group", "head_sha")),
                head_ref=_text(event, "merge_group", "head_ref"),
            )
        case "push":
            ref = _text(event, "ref")
            branch = ref.removeprefix(_HEADS)
            before = _commit(_text(event, "before"))
            return replace(
                here,
                trigger="push",
                base_ref=branch if before else _text(event, "repository", "default_branch"),
                base=before,
                head=_commit(_text(event, "after")),
                head_ref=ref,
            )
    return here


def _gitlab(environ: Mapping[str, str]) -> Subject:
    here = Subject(
        kind="gitlab",
        trigger="",
        repository=environ.get("CI_MERGE_REQUEST_PROJECT_PATH") or environ.get("CI_PROJECT_PATH", ""),
        server=environ.get("CI_SERVER_URL", ""),
        job=environ.get("CI_JOB_URL", ""),
    )
    commit = _commit(environ.get("CI_COMMIT_SHA", ""))
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    if number.isdecimal():
        # In a pipeline of merged results the checked-out commit is GitLab's merge; the head stands in a variable of its own. A train's
        # merge has the requests before it too, so there it is the train that is previewed.
        train = environ.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train"
        source = _commit(environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", ""))
        return replace(
            here,
            trigger="merge_group" if train else "pull_request",
            base_ref=environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", ""),
            head=commit if train else source or commit,
            head_ref=f"refs/merge-requests/{number}/{'train' if train else 'head'}",
            number=int(number),
            foreign=environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != environ.get("CI_MERGE_REQUEST_PROJECT_ID"),
        )
    before = _commit(environ.get("CI_COMMIT_BEFORE_SHA", ""))
    branch = environ.get("CI_COMMIT_BRANCH", "")
    if not branch or not commit:
        return here
    return replace(
        here,
        trigger="push",
        base_ref=branch if before else environ.get("CI_DEFAULT_BRANCH", ""),
        base=before,
        head=commit,
        head_ref=f"{_HEADS}{branch}",
    )


def _text(event: Mapping[str, Any], *path: str) -> str:
    value: Any = event
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def _number(event: Mapping[str, Any], *path: str) -> int:
    value: Any = event
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _commit(text: str) -> str:
    """A full commit id; "" for anything else, and for the id of nothing."""
    return text if _ID.fullmatch(text) and text != _NOTHING else ""
