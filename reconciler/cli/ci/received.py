"""What a job may believe that has not computed the preview itself: the forge's event, and of the files no more than their form."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.cli.ci.subject import NoSubjectError, Subject, subject
from reconciler.cli.ci.writing import PREVIEW
from reconciler.errors import Diagnostic, InputError
from reconciler.plan.review import DocumentError, Review, from_document

_LARGEST = 32 * 1024 * 1024
_CHUNK = 1024 * 1024
_ID = frozenset("0123456789abcdef")
_LENGTH = 40


def occasion(environ: Mapping[str, str], event: Any, *, repository: str = "") -> Subject:
    """What was previewed, by the forge's own word. `number` is 0 where it has to be asked for by the head.

    In a `workflow_run` job that is the run that went before; in the same job, the pull request's own event.

    Raises:
        NoSubjectError: Nothing says it.
    """
    if environ.get("GITHUB_EVENT_NAME") != "workflow_run" or not isinstance(event, Mapping):
        return subject(environ, event)
    run = event.get("workflow_run")
    head = run.get("head_sha") if isinstance(run, Mapping) else None
    if not isinstance(run, Mapping) or not isinstance(head, str) or len(head) != _LENGTH or not set(head) <= _ID:
        raise NoSubjectError("the event of this job names no run that it follows")
    job = run.get("html_url")
    return Subject(
        kind="github",
        trigger=str(run.get("event", "")),
        repository=repository or environ.get("GITHUB_REPOSITORY", ""),
        server=environ.get("GITHUB_SERVER_URL", "https://github.com"),
        head=head,
        job=job if isinstance(job, str) else "",
    )


def received(folder: Path, meant: Subject) -> Review:
    """The preview that a folder holds, if it is one of what is meant.

    Raises:
        DocumentError: There is none, it is of another form, or of another commit.
    """
    document = _document(folder / PREVIEW)
    review = from_document(document)
    if review.head != meant.head:
        raise DocumentError(
            f"the preview is of {review.head[:10]}, and the job's commit is {meant.head[:10]}",
            hint="run the preview of this commit again",
        )
    return review


def without_preview(error: InputError, meant: Subject) -> tuple[Diagnostic, ...]:
    """Why there is none, for people who can look at the job."""
    hint = "look at the log of the job" if meant.job else "look at the log of the job that computes it"
    return tuple(replace(item, hint=item.hint or hint) for item in error.diagnostics)


def _document(path: Path) -> Any:
    """JSON of a plain file: an artifact may hold links to whatever this job can read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise DocumentError(f"there is no preview: {path.name}: {error.strerror or error}") from error
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise DocumentError(f"{path.name} is no plain file, or larger than {_LARGEST} bytes")
        text = b"".join(iter(lambda: os.read(file, _CHUNK), b""))
    finally:
        os.close(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path.name} is no JSON: {error}") from error
