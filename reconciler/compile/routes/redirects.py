"""Answers that the proxy gives by itself: redirects, direct responses, and the one for what can't be translated."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from envoy.config.route.v3.route_components_pb2 import RedirectAction

from reconciler.compile.routes.errors import UntranslatableError
from reconciler.compile.viewer import Place
from reconciler.model.virtualservice import HTTPDirectResponse, HTTPRedirect, RedirectPort

_CODES: Mapping[int, Any] = MappingProxyType(
    {
        0: RedirectAction.MOVED_PERMANENTLY,
        301: RedirectAction.MOVED_PERMANENTLY,
        302: RedirectAction.FOUND,
        303: RedirectAction.SEE_OTHER,
        307: RedirectAction.TEMPORARY_REDIRECT,
        308: RedirectAction.PERMANENT_REDIRECT,
    }
)
_DEFAULT_PORTS = {("http", 80), ("https", 443)}


def fill_redirect(target: Any, redirect: HTTPRedirect, place: Place) -> None:
    """Set a `RedirectAction`.

    A derived port is the listener's: Envoy can't read it from a request, but routes are for one port. The port that goes
    without saying is left out; without a scheme it is the listener's own that decides which that is.
    """
    if redirect.redirect_code not in _CODES:
        raise UntranslatableError(f"{redirect.redirect_code} is not a redirect that Envoy can answer with")
    target.response_code = _CODES[redirect.redirect_code]
    target.host_redirect = redirect.authority
    if redirect.scheme:
        target.scheme_redirect = redirect.scheme
    if redirect.prefix_rewrite:
        target.prefix_rewrite = redirect.prefix_rewrite
    elif redirect.uri:
        target.path_redirect = redirect.uri
    port = place.port if redirect.derive_port is RedirectPort.FROM_REQUEST_PORT else redirect.port or 0
    scheme = redirect.scheme or ("https" if place.tls else "http")
    if (scheme, port) not in _DEFAULT_PORTS:
        target.port_redirect = port


def fill_direct_response(target: Any, response: HTTPDirectResponse) -> None:
    """Set a `DirectResponseAction`."""
    target.status = response.status
    body = response.body
    if body is not None and body.string is not None:
        target.body.inline_string = body.string
    elif body is not None and body.bytes is not None:
        try:
            target.body.inline_bytes = base64.b64decode(body.bytes, validate=True)
        except binascii.Error as error:
            raise UntranslatableError("the body is not base64") from error
