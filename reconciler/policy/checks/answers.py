"""Rules for answers that Envoy gives by itself: redirects and direct responses."""

from __future__ import annotations

import base64
import binascii

from reconciler.model.virtualservice import HTTPBody, HTTPDirectResponse, HTTPRedirect
from reconciler.policy.checks.shared import idle
from reconciler.policy.findings import Report

_CODES = (301, 302, 303, 307, 308)
"""The redirects that Envoy can answer with. Istio takes every 3xx, and leaves the route without an action at the others."""

_STATUSES = range(200, 600)
_LARGE_BODY = 100 * 1024
"""Where Istio begins to warn. What it refuses, 1 MiB, no file of policies has (`files.MAX_SIZE`)."""


def check_redirect(redirect: HTTPRedirect, report: Report) -> None:
    """A redirect that goes elsewhere; the report's paths begin at it."""
    port = redirect.port is not None or redirect.derive_port is not None
    if not (redirect.uri or redirect.authority or redirect.scheme or port):
        message = "a redirect needs a uri, authority, scheme or port: without, it leads back to itself"
        report.error("missing-field", message, hint="add what changes", key=True)
    if redirect.uri and redirect.prefix_rewrite:
        idle(report, "uri is not looked at beside prefixRewrite", "uri", hint="keep one of the two")
    if redirect.port is not None and redirect.derive_port is not None:
        message = "only one of port and derivePort can be set"
        report.error("one-of", message, "derivePort", hint="keep one of the two", key=True)
    elif redirect.port == 0:
        report.error("value", "port must be at least 1", "port", hint="to keep the request's, remove it")
    if redirect.redirect_code and redirect.redirect_code not in _CODES:
        codes = ", ".join(map(str, _CODES))
        message = f"{redirect.redirect_code} is not a redirect that Envoy answers with"
        report.error("value", message, "redirectCode", hint=f"write one of {codes}")
    if redirect.scheme not in {"", "http", "https"}:
        report.error("value", f"{redirect.scheme!r} is not a scheme", "scheme", hint="write http or https")


def check_direct_response(response: HTTPDirectResponse, report: Report) -> None:
    """A status that Envoy can answer with, and a body that can be read; the report's paths begin at the response."""
    if response.status not in _STATUSES:
        message = f"{response.status} is not a status that Envoy answers with"
        report.error("value", message, "status", hint="write one from 200 to 599")
    if response.body is not None:
        _check_body(response.body, report.below("body"))


def _check_body(body: HTTPBody, report: Report) -> None:
    if body.string is not None and body.bytes is not None:
        message = "only one of string and bytes can be set"
        report.error("one-of", message, "bytes", hint="keep one of the two", key=True)
        return
    field, content = ("bytes", b"") if body.bytes is not None else ("string", (body.string or "").encode())
    if body.bytes is not None:
        try:
            content = base64.b64decode(body.bytes, validate=True)
        except binascii.Error:
            report.error("value", "bytes is not base64", field, hint="write text in `string`, or encode it")
            return
    if len(content) > _LARGE_BODY:
        message = f"the body has {len(content):,} bytes, and every proxy holds it in memory for every route"
        report.warning("large-body", message, field, hint="serve it from a service")
