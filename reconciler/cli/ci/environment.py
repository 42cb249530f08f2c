"""What a CI system hands to its jobs: the event's document, and addresses of files and of the job."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reconciler.cli.ci.subject import Subject
from reconciler.errors import UsageError
from reconciler.plan.review import Surroundings

_URL = re.compile(r"https?://[^\s()<>\[\]\"'`\\]+")


def event_of(environ: Mapping[str, str]) -> Any:
    """GitHub's payload of the event; None elsewhere.

    Raises:
        UsageError: The file that is named can't be read.
    """
    path = environ.get("GITHUB_EVENT_PATH", "")
    if environ.get("GITHUB_ACTIONS") != "true" or not path:
        return None
    try:
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"GITHUB_EVENT_PATH names {path}, which can't be read: {error}", hint="it is set by GitHub's runner"
        ) from error


def surroundings(subject: Subject) -> Surroundings:
    """Where the files of the head and the full plan are."""

    def link(file: str, line: int | None) -> str:
        if not (subject.kind and subject.repository and subject.head and _URL.fullmatch(subject.server)):
            return ""
        blob = "blob" if subject.kind == "github" else "-/blob"
        place = quote(f"{subject.repository}/{blob}/{subject.head}/{file}", safe="/", errors="surrogateescape")
        return f"{subject.server.rstrip('/')}/{place}" + (f"#L{line}" if line else "")

    return Surroundings(link=link, full=subject.job if _URL.fullmatch(subject.job) else "")
