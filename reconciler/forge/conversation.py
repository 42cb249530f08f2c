"""What is said on a forge about commits and pull requests: comments, statuses, checks. Values and the Protocol, no calls.

Who decides what to say (`reconcile ci`, the daemon) knows no forge; who says it (`github_talk`, `gitlab_talk`) knows no policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reconciler.forge.pull import PullRequest

LONGEST_COMMENT = 60_000
"""Code points of a comment that every forge takes. GitHub names 65,536 as its limit, in a unit that it does not say."""

LONGEST_DESCRIPTION = 140
"""Code points of a status' description on GitHub; GitLab takes 255."""

LONGEST_SUMMARY = 65_535
"""Characters of a check run's summary on GitHub, and of its text."""

MOST_ANNOTATIONS = 500
"""Annotations of one check run that are sent, in ten requests; CheckResult says how many were."""


class StatusState(StrEnum):
    """What a commit status says. FAILURE: the commit is at fault. ERROR: we are, or the world is."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class CheckConclusion(StrEnum):
    """How a check ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


class AnnotationLevel(StrEnum):
    """How much an annotation matters."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Words at a line of a file.

    Attributes:
        path: From the repository's root.
        line: From 1.
        end_line: The last line; 0 for `line`.
        column: From 1; 0 for none. Left out where it spans more than one line, which GitHub refuses.
        level: How much it matters.
        title: Its first line, "" for none; cut at 255.
        message: What it says; not empty.
    """

    path: str
    line: int
    end_line: int = 0
    column: int = 0
    level: AnnotationLevel = AnnotationLevel.FAILURE
    title: str = ""
    message: str


class Written(StrEnum):
    """What became of something that was to be said. ABSENT: it is not there, and was not to be created."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentResult:
    """A sticky comment, after the call.

    Attributes:
        written: What was done.
        number: Its id; 0 for ABSENT.
        url: Where people find it; "" for ABSENT.
        removed: How many duplicates of it were removed.
    """

    written: Written
    number: int = 0
    url: str = ""
    removed: int = 0


class CheckForm(StrEnum):
    """How the conclusion of a check is shown: as a check run with annotations, as a mere status, or not at all."""

    CHECK_RUN = "check-run"
    STATUS = "status"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A check, after the call.

    Attributes:
        form: How it is shown.
        annotations: How many annotations are shown with it.
        url: Where people find it; "" if there is no such place.
        note: Why it is not a check run, for the log; "" if it is one.
    """

    form: CheckForm
    annotations: int = 0
    url: str = ""
    note: str = ""


class Conversation(Protocol):
    """One repository on a forge. Close it. Every call may raise what `errors` names, and may be made again after any of them.

    Not for two threads at once.
    """

    def close(self) -> None:
        """Close the connections."""

    def comment(self, number: int, *, key: str, body: str, create: bool = True) -> CommentResult:
        """Have one comment of ours under a key on a pull request, with this body. What says it already is left alone.

        Comments of others are never touched, whatever markers they carry. Of several of ours the oldest is kept.

        Args:
            number: Of the pull request.
            key: One comment each; letters, digits and `-._/:`.
            body: Markdown; the marker is added.
            create: Whether it is written where there is none yet.

        Raises:
            UsageError: The key has other characters, or the body is longer than `LONGEST_COMMENT` or empty.
        """

    def status(self, commit: str, *, context: str) -> StatusState | None:
        """The state of a status of a commit; None if there is none. GitLab has one state for FAILURE and ERROR: FAILURE."""

    def set_status(self, commit: str, *, context: str, state: StatusState, description: str, url: str = "") -> Written:
        """Have a status on a commit; CREATED, or UNCHANGED if it stands there already.

        Args:
            commit: Its full id.
            context: Which status; a newer one of the same context replaces it.
            state: What it says.
            description: One line; cut to what the forge takes.
            url: Where there is more; "" for nowhere.
        """

    def check(
        self,
        commit: str,
        *,
        name: str,
        conclusion: CheckConclusion,
        title: str,
        summary: str,
        annotations: Sequence[Annotation] = (),
        url: str = "",
    ) -> CheckResult:
        """Show how a check of a commit ended, at the lines where it has something to say.

        On GitHub a check run, if the token is an App's or a workflow's; else a status called `name`. On GitLab nothing.

        Args:
            commit: Its full id.
            name: Which check.
            conclusion: How it ended.
            title: One line.
            summary: Markdown; cut at `LONGEST_SUMMARY`.
            annotations: In the order in which they are shown.
            url: Where there is more; "" for nowhere.
        """

    def open_pulls(self) -> tuple[PullRequest, ...]:
        """All open pull requests, those from other repositories too (whose `head` is ""), the newest first."""

    def get(self, number: int) -> PullRequest:
        """One pull request."""

    def changed_files(self, number: int) -> tuple[str, ...]:
        """Paths that a pull request changes, old names of renamed files too, sorted. GitHub tells 3,000 at most."""

    def open_at(self, head_sha: str) -> tuple[PullRequest, ...]:
        """Open pull requests whose head is this commit, from other repositories too: for `workflow_run` jobs, which aren't told."""

    def landed_as(self, commit: str) -> tuple[PullRequest, ...]:
        """Merged pull requests that brought this commit to its branch, as the forge knows; none if it was pushed."""
