"""Rules for one match of a VirtualService's rule: of a request, or of a connection."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.model.virtualservice import HTTPMatch, L4Match
from reconciler.policy.checks.formats import NAME_HINT, is_label, is_network
from reconciler.policy.checks.matchers import check_matcher, check_optional
from reconciler.policy.checks.shared import check_labels, idle
from reconciler.policy.findings import Report

_HEADER = re.compile(r"[-_A-Za-z0-9]+\Z")
_CLAIM = "@request.auth.claims"
_METHOD = re.compile(r"[a-z]")
_EVERY_PATH = "write {prefix: /} for every path"


def check_match(match: HTTPMatch, report: Report) -> None:
    """A match of an `http` rule; the report's paths begin at it."""
    if match.uri is not None:
        check_matcher(match.uri, report, "uri", hint=_EVERY_PATH)
    if match.ignore_uri_case and (match.uri is None or match.uri.regex is not None):
        hint = "begin the expression with (?i)" if match.uri else "remove it, or add uri"
        idle(report, "ignoreUriCase is for uri.exact and uri.prefix", "ignoreUriCase", hint=hint)
    for name in ("scheme", "method", "authority"):
        matcher = getattr(match, name)
        if matcher is not None:
            check_matcher(matcher, report, name, hint=f"remove {name} for any")
    _check_method(match, report)
    for field, headers, present in (("headers", match.headers, False), ("withoutHeaders", match.without_headers, True)):
        for name, matcher in headers.items():
            _check_header_name(name, report, field, name)
            check_optional(matcher, report, field, name, present=present)
    _check_parameters(match, report)
    _check_sources(match, report)
    if match.gateways and (match.source_labels or match.source_namespace):
        field = "sourceLabels" if match.source_labels else "sourceNamespace"
        idle(report, f"{field} is not looked at where the match has gateways", field, hint="remove one of the two")


def _check_method(match: HTTPMatch, report: Report) -> None:
    method = (match.method.exact or match.method.prefix or "") if match.method else ""
    if _METHOD.search(method):
        idle(
            report, f"methods are in upper case, so {method!r} never matches", "method", hint=f"write {method.upper()}"
        )


def _check_parameters(match: HTTPMatch, report: Report) -> None:
    for name, matcher in match.query_params.items():
        if not name:
            message = "a query parameter needs a name"
            report.error("missing-field", message, "queryParams", hint="write its name before the colon")
        check_optional(matcher, report, "queryParams", name)


def check_l4_match(match: L4Match, report: Report) -> None:
    """What matches of `tls` and `tcp` rules have in common; the report's paths begin at the match."""
    for index, subnet in enumerate(match.destination_subnets):
        if not is_network(subnet):
            message = f"{subnet!r} is neither an address nor a block of them"
            report.error("address", message, "destinationSubnets", index, hint="write it like 10.0.0.0/8")
    _check_sources(match, report)


def check_gateway_names(names: Sequence[str], report: Report, *path: str | int) -> None:
    """`mesh`, or Gateways by `name` or `namespace/name`; Istio's oldest form, a host name, is refused."""
    for index, gateway in enumerate(names):
        namespace, slash, name = gateway.rpartition("/")
        if not is_label(name) or (slash and not is_label(namespace)):
            message = f"{gateway!r} is not `name` or `namespace/name` of a Gateway"
            parts = gateway.split(".")
            hint = f"write {parts[1]}/{parts[0]}" if len(parts) > 1 and is_label(parts[0]) else NAME_HINT
            report.error("name", message, *path, index, hint=hint)


def _check_sources(match: HTTPMatch | L4Match, report: Report) -> None:
    check_labels(match.source_labels, report, "sourceLabels")
    if match.source_namespace and not is_label(match.source_namespace):
        message = f"{match.source_namespace!r} is not a namespace"
        report.error("name", message, "sourceNamespace", hint=NAME_HINT)
    check_gateway_names(match.gateways, report, "gateways")


def _check_header_name(name: str, report: Report, *path: str | int) -> None:
    if name.startswith(_CLAIM):
        message = "routing by a token's claims needs a RequestAuthentication, and there is none here"
        hint = "let whoever checks the token put the claim into a header, and match that"
        report.error("unsupported-field", message, *path, hint=hint, key=True)
    elif not _HEADER.match(name):
        hint = "letters, digits, '-' and '_'; for pseudo-headers there are uri, method, authority and scheme"
        report.error("header-name", f"{name!r} is not a header's name", *path, hint=hint, key=True)
