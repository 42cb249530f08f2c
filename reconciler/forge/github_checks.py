"""A check run as GitHub's REST API takes it: https://docs.github.com/rest/checks/runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.forge.conversation import (
    LONGEST_SUMMARY,
    MOST_ANNOTATIONS,
    Annotation,
    CheckConclusion,
    StatusState,
)
from reconciler.forge.sticky import one_line

_A_REQUEST = 50
_TITLE, _MESSAGE = 255, 16_000
"""Characters of a title, and of a message: 64 KB, in the longest encoding of a character."""

STATES = {
    CheckConclusion.SUCCESS: StatusState.SUCCESS,
    CheckConclusion.NEUTRAL: StatusState.SUCCESS,
    CheckConclusion.FAILURE: StatusState.FAILURE,
}
"""What a status says where a check run can't be had."""


def outputs(title: str, summary: str, annotations: Sequence[Annotation]) -> Iterator[dict[str, Any]]:
    """What is sent, in the order in which it is: each request after the first adds annotations to those that are there."""
    shown = [_annotation(item) for item in annotations[:MOST_ANNOTATIONS]]
    fixed = {"title": one_line(title, _TITLE) or "-", "summary": _cut(summary, LONGEST_SUMMARY)}
    for start in range(0, max(len(shown), 1), _A_REQUEST):
        yield {**fixed, "annotations": shown[start : start + _A_REQUEST]}


def _annotation(item: Annotation) -> dict[str, Any]:
    line = max(item.line, 1)
    end = max(item.end_line, line)
    shown: dict[str, Any] = {
        "path": item.path,
        "start_line": line,
        "end_line": end,
        "annotation_level": str(item.level),
        "message": _cut(item.message, _MESSAGE) or "-",
    }
    if item.column and line == end:  # GitHub refuses columns over several lines
        shown |= {"start_column": item.column, "end_column": item.column}
    if item.title:
        shown["title"] = one_line(item.title, _TITLE)
    return shown


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
