"""Rules for one text matcher: `exact`, `prefix` or `regex`."""

from __future__ import annotations

from reconciler.model.virtualservice import StringMatch
from reconciler.policy.checks.regex import REGEX_HINT, regex_problem
from reconciler.policy.findings import Report

PRESENT = "*"
"""Not a regular expression, though it stands in `regex`: Istio reads it as "is there at all" in `withoutHeaders`."""


def check_matcher(matcher: StringMatch, report: Report, *path: str | int, hint: str = "") -> None:
    """Note a matcher with several conditions, none or an empty one.

    Stricter than Istio, which takes `{}` here for "anything" and `exact: ""` for what never matches: both are slips.

    Args:
        matcher: Of something that every request has: a path, a method, an origin.
        report: Where `path` begins.
        path: The matcher's.
        hint: What to write for "anything".
    """
    given = _given(matcher)
    if not given:
        report.error(
            "one-of", "one of exact, prefix and regex is needed", *path, hint=hint or "write one of them", key=True
        )
    for name in given:
        if not getattr(matcher, name):
            report.error("value", f"{name} must not be empty", *path, name, hint=hint or "give it a value")
    _check_one(matcher, given, report, *path)


def check_optional(matcher: StringMatch, report: Report, *path: str | int, present: bool = False) -> None:
    """The same for what a request may lack, a header or a parameter: nothing asks for presence, `exact: ""` for an empty value.

    Args:
        matcher: Of a header or a parameter.
        report: Where `path` begins.
        path: The matcher's.
        present: Whether `regex: "*"` asks for presence too.
    """
    for name in ("prefix", "regex"):
        if getattr(matcher, name) == "":
            hint = "write {} for a header that is there, whatever it says"
            report.error("value", f"{name} must not be empty", *path, name, hint=hint)
    if not (present and matcher.regex == PRESENT):
        _check_one(matcher, _given(matcher), report, *path)


def _given(matcher: StringMatch) -> list[str]:
    return [name for name, value in matcher if value is not None]


def _check_one(matcher: StringMatch, given: list[str], report: Report, *path: str | int) -> None:
    if len(given) > 1:
        message = f"only one of exact, prefix and regex can be set; here are {', '.join(given)}"
        report.error("one-of", message, *path, hint="use several matches: one of them is enough", key=True)
    if matcher.regex:
        problem = regex_problem(matcher.regex)
        if problem:
            report.error("regex", problem, *path, "regex", hint=REGEX_HINT)
