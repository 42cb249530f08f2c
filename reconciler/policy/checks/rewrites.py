"""Rules for rewrites of the path and the host."""

from __future__ import annotations

from reconciler.model.virtualservice import HTTPRewrite, RegexRewrite
from reconciler.policy.checks.regex import REGEX_HINT, regex_problem, substitution_problem
from reconciler.policy.findings import Report


def check_rewrite(rewrite: HTTPRewrite, report: Report) -> None:
    """One way to rewrite the path at most, and something to rewrite; the report's paths begin at the rewrite."""
    regex = rewrite.uri_regex_rewrite
    if rewrite.uri and regex is not None:
        message = "only one of uri and uriRegexRewrite can be set"
        report.error("one-of", message, "uriRegexRewrite", hint="keep one of the two", key=True)
    elif not rewrite.uri and not rewrite.authority and regex is None:
        message = "a rewrite needs uri, uriRegexRewrite or authority"
        report.error("missing-field", message, hint="add what changes, or remove it", key=True)
    if regex is not None:
        _check_regex(regex, report.below("uriRegexRewrite"))


def _check_regex(regex: RegexRewrite, report: Report) -> None:
    for name in ("match", "rewrite"):
        if not getattr(regex, name):
            report.error("missing-field", f"{name} is required", name, hint="a rewrite needs match and rewrite")
    if not regex.match:
        return
    problem = regex_problem(regex.match)
    if problem:
        report.error("regex", problem, "match", hint=REGEX_HINT)
        return
    problem = substitution_problem(regex.match, regex.rewrite)
    if problem:
        report.error("regex", problem, "rewrite", hint=r"write \1 for the first group in parentheses")
