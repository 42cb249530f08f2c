"""A preview as files: the comment, the document for the job that may post it, the whole plan, and GitLab's report of code quality."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.cli.ci.computing import Computed
from reconciler.cli.ci.environment import surroundings
from reconciler.cli.ci.subject import Subject
from reconciler.errors import PermanentError
from reconciler.plan import as_json
from reconciler.plan.review import Remark, Review, as_document, render_review

COMMENT, PREVIEW, PLAN, QUALITY = "comment.md", "preview.json", "plan.json", "codequality.json"


class FolderWriteError(PermanentError):
    """The files of a preview can't be written."""

    default_code = "ci-folder"


def write_folder(folder: Path, computed: Computed, subject: Subject) -> None:
    """Write all files; a plan that an earlier preview left there goes if there is none now.

    Raises:
        FolderWriteError: It can't be written.
    """
    review = computed.review
    texts = {
        COMMENT: render_review(review, surroundings(subject)),
        PREVIEW: _dumped(as_document(review)),
        QUALITY: _dumped([_issue(item) for item in (*review.refused, *review.remarks)]),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8", "backslashreplace")
        if computed.plan is not None:
            (folder / PLAN).write_text(_dumped(as_json(computed.plan)), "utf-8")
        else:
            (folder / PLAN).unlink(missing_ok=True)
    except OSError as error:
        raise FolderWriteError(
            f"{folder} can't be written: {error.strerror or error}", hint="name another --out"
        ) from error


def summarize(environ: Mapping[str, str], review: Review, subject: Subject) -> None:
    """Add the comment to the summary of a job on GitHub, which is all that people see where nothing may comment.

    Raises:
        FolderWriteError: It can't be written.
    """
    path = environ.get("GITHUB_STEP_SUMMARY", "")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(render_review(review, surroundings(subject)))
    except OSError as error:
        raise FolderWriteError(f"{path} can't be written: {error.strerror or error}") from error


def _issue(item: Remark) -> dict[str, Any]:
    """A message as GitLab shows it at its line: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""
    found = item.diagnostic
    path, line = found.file or "policies", found.line or 1
    seen = f"{found.code}\0{path}\0{line}\0{found.message}".encode("utf-8", "surrogatepass")
    return {
        "description": f"{found.message}" + (f"; {found.hint}" if found.hint else ""),
        "check_name": found.code,
        "fingerprint": hashlib.sha256(seen).hexdigest(),
        "severity": "blocker" if item.error else "minor",
        "location": {"path": path, "lines": {"begin": line}},
    }


def _dumped(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
