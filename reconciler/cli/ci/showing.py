"""What a preview leaves in the log of a job: itself, and on GitHub a command for each line that has a message.

GitHub's runner takes commands from any line of the log, so what comes from the pull request is shown while it listens to none.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping

from reconciler.cli.ci.computing import Computed
from reconciler.cli.ci.environment import surroundings
from reconciler.cli.ci.subject import Subject
from reconciler.cli.options import Output
from reconciler.cli.output import print_json, put
from reconciler.plan import diagnostic_text, digest, render_text
from reconciler.plan.review import Remark, Review, as_document, render_review
from reconciler.plan.words import visible

_SHOWN = 10
"""Annotations of a level that GitHub shows for a step; the check run has all of them."""


def on_github(environ: Mapping[str, str]) -> bool:
    """Whether a runner of GitHub reads this log."""
    return environ.get("GITHUB_ACTIONS") == "true"


def show_computed(computed: Computed, subject: Subject, output: Output, *, github: bool) -> None:
    """Print a preview. JSON is one document and nothing else."""
    if output is Output.JSON:
        print_json(as_document(computed.review))
        return
    text = _text(computed) if output is Output.TEXT else render_review(computed.review, surroundings(subject))
    if github:
        token = secrets.token_hex(16)
        put(f"::stop-commands::{token}\n{text.rstrip()}\n::{token}::")
        for line in commands(computed.review):
            put(line)
    else:
        put(text, end="")


def commands(review: Review) -> Iterator[str]:
    """Workflow commands, errors first, as many as are shown.

    https://docs.github.com/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
    """
    found = (*review.refused, *(item for item in review.remarks if not item.before))
    for errors in (True, False):
        for item in [item for item in found if item.error is errors][:_SHOWN]:
            yield _command(item)


def _command(item: Remark) -> str:
    found = item.diagnostic
    places = {"file": found.file, "line": found.line, "col": found.column, "title": found.code}
    words = ",".join(f"{name}={_property(str(value))}" for name, value in places.items() if value is not None)
    hint = f"\n{found.hint}" if found.hint else ""
    return f"::{'error' if item.error else 'warning'} {words}::{_data(found.message + hint)}"


def _data(text: str) -> str:
    lines = (visible(line) for line in text.split("\n"))
    return "%0A".join(line.replace("%", "%25").replace("\r", "%0D") for line in lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _text(computed: Computed) -> str:
    review = computed.review
    lines = [f"{diagnostic_text(item.diagnostic)}\n" for item in review.remarks if computed.plan is None or item.error]
    lines += [visible(f"conflict: {path}") + "\n" for path in review.conflicts]
    if computed.plan is not None:
        lines += [render_text(computed.plan, color=False)]
        lines += [f"Digest: {digest(computed.plan)}\n"] if not computed.plan.empty else []
    where = f"{visible(review.base_ref)} {review.base[:10]}".strip()
    return "".join([*lines, f"Preview of merging {review.head[:10]} into {where}: {review.verdict}\n"])
