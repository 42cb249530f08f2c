"""Rules for one `http` rule of a VirtualService: which of its fields go together; what each says is checked by its own module."""

from __future__ import annotations

from reconciler.model.virtualservice import Delegate, HTTPRoute
from reconciler.policy.checks.answers import check_direct_response, check_redirect
from reconciler.policy.checks.cors import check_cors
from reconciler.policy.checks.destinations import check_destination, check_split
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.faults import check_fault, check_percent
from reconciler.policy.checks.formats import NAME_HINT, is_label, is_name
from reconciler.policy.checks.headers import check_authority, check_headers
from reconciler.policy.checks.matches import check_match
from reconciler.policy.checks.retries import check_retries, check_safe, check_try_time
from reconciler.policy.checks.rewrites import check_rewrite
from reconciler.policy.checks.shared import deprecated, idle
from reconciler.policy.findings import Report

_ACTIONS = {"route": "route", "redirect": "redirect", "direct_response": "directResponse", "delegate": "delegate"}
_ANSWERED = {
    "timeout": "timeout",
    "retries": "retries",
    "mirror": "mirror",
    "mirrors": "mirrors",
    "mirror_percentage": "mirrorPercentage",
    "mirror_percent": "mirrorPercent",
}
"""What only a request that is sent on can have."""


def check_route(rule: HTTPRoute, report: Report, *, delegated: bool) -> None:
    """One rule; the report's paths begin at it.

    Args:
        rule: The rule.
        report: Where it is noted.
        delegated: Whether its VirtualService has no hosts: others delegate to it.
    """
    _check_action(rule, report, delegated=delegated)
    for index, match in enumerate(rule.match):
        check_match(match, report.below("match", index))
    check_split(rule.route, report, "route")
    for index, share in enumerate(rule.route):
        check_headers(share.headers, report, "route", index, "headers")
    check_headers(rule.headers, report, "headers")
    check_authority(rule.rewrite, rule.headers, report)
    _check_parts(rule, report)
    _check_delegate(rule.delegate, report)
    _check_mirrors(rule, report)
    check_duration(rule.timeout, report, "timeout")
    _check_retries(rule, report)


def _check_parts(rule: HTTPRoute, report: Report) -> None:
    if rule.redirect is not None:
        check_redirect(rule.redirect, report.below("redirect"))
    if rule.direct_response is not None:
        check_direct_response(rule.direct_response, report.below("directResponse"))
    if rule.rewrite is not None:
        check_rewrite(rule.rewrite, report.below("rewrite"))
    if rule.fault is not None:
        check_fault(rule.fault, report.below("fault"))
    if rule.cors_policy is not None:
        check_cors(rule.cors_policy, report.below("corsPolicy"))


def _check_retries(rule: HTTPRoute, report: Report) -> None:
    if rule.retries is None:
        return
    below = report.below("retries")
    check_retries(rule.retries, below)
    check_try_time(rule.retries, rule.timeout, below)
    if rule.route:
        check_safe(rule.retries, rule.match, below)


def _check_action(rule: HTTPRoute, report: Report, *, delegated: bool) -> None:
    actions = [field for name, field in _ACTIONS.items() if getattr(rule, name)]
    if not actions:
        hint = "add `route: [{destination: {host: ...}}]`, or a redirect, directResponse or delegate"
        report.error("missing-field", "a rule needs a route", "route", hint=hint)
    elif len(actions) > 1:
        message = f"only one of route, redirect, directResponse and delegate can be set; here are {', '.join(actions)}"
        report.error("one-of", message, actions[-1], hint="make a rule of each", key=True)
    if delegated and rule.delegate is not None:
        message = "a VirtualService without hosts is delegated to, so it can't delegate itself"
        report.error("one-of", message, "delegate", hint="delegate to the last one directly", key=True)
    if rule.redirect is None and rule.direct_response is None:
        return
    answer = "a redirect" if rule.redirect is not None else "a direct response"
    for name in ("fault", "rewrite"):
        if getattr(rule, name) is not None:
            report.error("one-of", f"{answer} can't have a {name}", name, hint="remove one of the two", key=True)
    for name, field in _ANSWERED.items():
        if getattr(rule, name) not in (None, ()):
            idle(report, f"{answer} is not sent on, so {field} changes nothing", field)


def _check_delegate(delegate: Delegate | None, report: Report) -> None:
    if delegate is None:
        return
    for field, text, valid in (("name", delegate.name, is_name), ("namespace", delegate.namespace, is_label)):
        if text and not valid(text):
            report.error("name", f"{text!r} is not a valid {field}", "delegate", field, hint=NAME_HINT)
    if not delegate.name:
        message = "a delegate needs the name of a VirtualService"
        report.error("missing-field", message, "delegate", "name", hint="write `delegate: {name: ...}`")


def _check_mirrors(rule: HTTPRoute, report: Report) -> None:
    if rule.mirror is not None:
        check_destination(rule.mirror, report, "mirror")
        if rule.mirrors:
            message = "only one of mirror and mirrors can be set"
            report.error("one-of", message, "mirror", hint="move it into mirrors", key=True)
    for index, mirror in enumerate(rule.mirrors):
        check_destination(mirror.destination, report, "mirrors", index, "destination")
        check_percent(mirror.percentage, report, "mirrors", index, "percentage")
    check_percent(rule.mirror_percentage, report, "mirrorPercentage")
    if rule.mirror_percent is not None:
        deprecated(report, "mirrorPercent", f"mirrorPercentage: {{value: {rule.mirror_percent}}}", "mirrorPercent")
    if rule.mirror is None and rule.route:
        for name, field in (("mirror_percentage", "mirrorPercentage"), ("mirror_percent", "mirrorPercent")):
            if getattr(rule, name) is not None:
                hint = "write a percentage for each of mirrors" if rule.mirrors else "add mirror, or remove it"
                idle(report, f"{field} is for mirror, and there is none", field, hint=hint)
