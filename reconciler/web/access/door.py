"""Who stands at the door of a TCP address: a bearer's token, a session of the page, or nobody in particular.

Decides for each request once, however many roles its route asks for, and counts it: a request with a good token or session by its
token, any other by its peer, where a bad token costs as much as many good requests. So strangers can't lock out who has a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from fastapi import Request

from reconciler.clock import Clock
from reconciler.web.access.callers import REMEMBERED, Caller, Role
from reconciler.web.access.limits import Buckets, Rate, is_here, network_of
from reconciler.web.access.origin import require_own_page
from reconciler.web.access.sessions import Session, Sessions
from reconciler.web.access.tokenfile import TokenFile
from reconciler.web.access.tokens import Token, id_of
from reconciler.web.errors import PlaintextError, RateLimitError, UnauthorizedError

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_RATE = Rate(burst=200, per_second=50)
_FAILURE = 20.0
_HINT = "send `Authorization: Bearer TOKEN`; `reconcile token create` makes one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who came in, and how.

    Attributes:
        caller: Who, and what they may do.
        session: The session that they came by; None for a bearer, and for nobody in particular.
        cookie: The cookie of that session.
    """

    caller: Caller
    session: Session | None = None
    cookie: str = ""


class Door:
    """Access for everybody who reaches a TCP address.

    Args:
        clock: For ends and rates.
        tokens: Who may do what; None where anybody may read and nobody may do more.
        anonymous: Whether anybody may read although there are tokens.
        plaintext: Whether tokens are taken from other hosts without TLS.
        rate: For each peer without a token, and for each token.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tokens: TokenFile | None = None,
        anonymous: bool = False,
        plaintext: bool = False,
        rate: Rate = _RATE,
    ) -> None:
        self._clock = clock
        self._tokens = tokens
        self._nobody = Caller(roles=frozenset({Role.READ})) if tokens is None or anonymous else Caller()
        self._plaintext = plaintext
        self._sessions = Sessions(clock)
        self._by_peer = Buckets(rate, clock)
        self._by_token = Buckets(rate, clock)

    @property
    def knows_tokens(self) -> bool:
        """Whether there is a file of tokens, and so anybody who can sign in."""
        return self._tokens is not None

    def caller(self, request: Request) -> Caller:
        """Who sent a request.

        Raises:
            UnauthorizedError: A token that is none, or none where one is needed.
            CsrfError: By a session, and not by our page.
            PlaintextError: A token that others may have read.
            RateLimitError: Too often.
            TokensFileError: The file of tokens can't be used.
        """
        entry = self.entry(request)
        if not entry.caller.roles:
            raise UnauthorizedError("this daemon wants to know who asks", hint=_HINT)
        return entry.caller

    def entry(self, request: Request) -> Entry:
        """As `caller`, and nobody in particular is nobody's error."""
        known = request.scope.get(REMEMBERED)
        if not isinstance(known, Entry):
            known = request.scope[REMEMBERED] = self._entry(request)
        return known

    def sign_in(self, request: Request, text: str) -> tuple[str, Session, Caller]:
        """Open a session for a token. Returns its cookie, which is kept nowhere else.

        Raises:
            UnauthorizedError, CsrfError, PlaintextError, RateLimitError, TokensFileError: As for `caller`.
        """
        require_own_page(request)
        token = self._bearer(request, text)
        cookie, session = self._sessions.open(token.id, until=token.expires)
        return cookie, session, _caller(token)

    def sign_out(self, request: Request) -> None:
        """End the session that a request came by; nothing if it came by none.

        Raises:
            CsrfError: It was not our page that asked.
        """
        entry = self.entry(request)
        if entry.session is not None:
            self._sessions.close(entry.cookie)

    def _entry(self, request: Request) -> Entry:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                self._fail(request, "this daemon knows no other authorization than `Bearer`")
            return Entry(caller=_caller(self._bearer(request, text.strip())))
        cookie = request.cookies.get(cookie_name(request), "")
        session = self._sessions.find(cookie) if cookie else None
        token = self._valid().get(session.token) if session is not None else None
        if session is None or token is None:
            self._count(self._by_peer, network_of(_peer(request)))
            return Entry(caller=self._nobody)
        self._require_private(request)
        self._count(self._by_token, token.id)
        if request.method not in _SAFE:
            require_own_page(request, csrf=session.csrf)
        return Entry(caller=_caller(token), session=session, cookie=cookie)

    def _bearer(self, request: Request, text: str) -> Token:
        self._require_private(request)
        if self._tokens is None:
            self._fail(request, "this daemon has no file of tokens, so it knows no token")
        token = self._valid().get(id_of(text))
        if token is None or not token.is_shown_by(text):
            self._fail(request, "this token is not known here, or has ended")
        self._count(self._by_token, token.id)
        return token

    def _valid(self) -> Mapping[str, Token]:
        now = self._clock.now()
        found = self._tokens.tokens() if self._tokens is not None else {}
        return {key: token for key, token in found.items() if not token.ended(now)}

    def _require_private(self, request: Request) -> None:
        if request.url.scheme != "https" and not self._plaintext and not is_here(_peer(request)):
            raise PlaintextError(
                "a token came without TLS from another host: others may have read it",
                hint="revoke it, and give the daemon a certificate, or let it take tokens in plain text on purpose",
            )

    def _fail(self, request: Request, message: str) -> NoReturn:
        self._count(self._by_peer, network_of(_peer(request)), _FAILURE)
        raise UnauthorizedError(message, hint=_HINT)

    def _count(self, buckets: Buckets, key: str, cost: float = 1.0) -> None:
        seconds = buckets.take(key, cost)
        if seconds:
            raise RateLimitError("this is asked too often", seconds=seconds)


def cookie_name(request: Request) -> str:
    """The name of the session's cookie: with the port, as two daemons of one host would overwrite each other's.

    Under TLS `__Host-` has browsers refuse it from anything but this very host.
    """
    server = request.scope.get("server")
    port = server[1] if server else 0
    prefix = "__Host-" if request.url.scheme == "https" else ""
    return f"{prefix}reconcile-{port}"


def _caller(token: Token) -> Caller:
    return Caller(name=token.name, email=token.email, roles=token.roles, token=token.id)


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else ""
