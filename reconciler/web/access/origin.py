"""Whether it is our own page that asks a browser to change something: by what browsers say and pages of others can't forge.

Three things, each enough by itself against one kind of attack: `Sec-Fetch-Site` and `Origin`, which browsers set, and a value of
the session in a header, which another site can neither read nor send without being asked first (and we answer no preflight).
"""

from __future__ import annotations

import hmac

from fastapi import Request

from reconciler.web.errors import CsrfError

CSRF_HEADER = "x-reconcile-csrf"


def require_own_page(request: Request, *, csrf: str | None = None) -> None:
    """Refuse what another site had a browser send.

    Args:
        request: It came, or may have come, from a browser.
        csrf: What the session says that the header has to be; None before there is a session.

    Raises:
        CsrfError: It is not our page, or can't be known to be.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site not in {None, "same-origin", "none"}:
        raise CsrfError("another site asked for this", hint="use the page of this daemon")
    origin = headers.get("origin")
    if origin is not None and not _is_own(origin, request):
        raise CsrfError("a page of another origin asked for this", hint="use the page of this daemon")
    if csrf is None:
        return
    said = headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(said.encode("utf-8", "surrogateescape"), csrf.encode()):
        raise CsrfError(
            f"a session changes things only with the header {CSRF_HEADER}",
            hint="send the `csrf` of GET /v1/session in it",
        )


def _is_own(origin: str, request: Request) -> bool:
    """By host and port. A proxy before us may speak TLS where we don't, so the scheme does not count; its Host has to be kept."""
    scheme, separator, host = origin.partition("://")
    return bool(separator) and scheme in {"http", "https"} and host.lower() == request.headers.get("host", "").lower()
