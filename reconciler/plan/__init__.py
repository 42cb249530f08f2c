"""Diffs of views with observations, the digest, the guards, and plans as text, JSON and Markdown. Pure."""

from reconciler.plan.diff import compare_views, plan_proxy
from reconciler.plan.digest import digest
from reconciler.plan.escaping import escape_markdown
from reconciler.plan.fields import Differ
from reconciler.plan.guards import GUARD_CODES, GUARDS, Guard, check
from reconciler.plan.jsonform import as_json
from reconciler.plan.markdown import diagnostic_markdown, render_markdown
from reconciler.plan.splits import Split, splits
from reconciler.plan.summary import Counts, counts, subject_of, summary_line
from reconciler.plan.text import diagnostic_text, render_text
from reconciler.plan.words import count, shorten, visible

__all__ = [
    "GUARDS",
    "GUARD_CODES",
    "Counts",
    "Differ",
    "Guard",
    "Split",
    "as_json",
    "check",
    "compare_views",
    "count",
    "counts",
    "diagnostic_markdown",
    "diagnostic_text",
    "digest",
    "escape_markdown",
    "plan_proxy",
    "render_markdown",
    "render_text",
    "shorten",
    "splits",
    "subject_of",
    "summary_line",
    "visible",
]
