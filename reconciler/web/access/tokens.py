"""Tokens as they are written down: one JSON object a line, with a hash in the token's place. Pure: no file is touched here.

A token is `rec_<id>_<secret>`: the prefix lets scanners for leaked secrets know it, the id finds its line, and the secret is
256 random bits that we draw ourselves. Such a secret can't be guessed however fast a guess is, so a plain SHA-256 keeps it as well
as a slow hash would, and costs nothing for each request; a slow hash would only let strangers burn our processor.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.clock import rfc3339
from reconciler.errors import Diagnostic, InputError
from reconciler.web.access.callers import Role

_TOKEN = re.compile(r"rec_([0-9a-z]{1,32})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[0-9a-z]{1,32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_PERSON = re.compile(r"[^<>\x00-\x1f\x7f]{1,200}")
_FIELDS = frozenset({"id", "sha256", "name", "email", "roles", "expires", "created"})
_REQUIRED = ("id", "sha256", "name", "email", "roles")
_ID_BYTES = 4
_SECRET_BYTES = 32


class TokensFormatError(InputError):
    """A line of the tokens file is none that `reconcile token` writes."""

    default_code = "tokens-format"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One line of the tokens file.

    Attributes:
        id: Lower-case letters and digits; in commits' trailers and in logs it stands for the token.
        sha256: Of the whole token, in hexadecimal.
        name: Who commits are by.
        email: Likewise.
        roles: What its bearer may do.
        expires: When it ends, UTC; None for never.
        created: When it was made, UTC; None if nobody wrote that down.
    """

    id: str
    sha256: str
    name: str
    email: str
    roles: frozenset[Role]
    expires: datetime | None = None
    created: datetime | None = None

    def ended(self, now: datetime) -> bool:
        """Whether it counts no more."""
        return self.expires is not None and now >= self.expires

    def is_shown_by(self, text: str) -> bool:
        """Whether a text is this token; takes as long for a near miss as for any other."""
        return hmac.compare_digest(self.sha256.encode(), digest(text).encode())

    def line(self) -> str:
        """As it is written into the file, without a line feed."""
        document: dict[str, Any] = {
            "id": self.id,
            "sha256": self.sha256,
            "name": self.name,
            "email": self.email,
            "roles": sorted(str(role) for role in self.roles),
        }
        times = {"created": self.created, "expires": self.expires}
        document |= {name: rfc3339(when) for name, when in times.items() if when is not None}
        return json.dumps(document, ensure_ascii=False)


def mint(
    *, name: str, email: str, roles: Iterable[Role], created: datetime, expires: datetime | None = None
) -> tuple[str, Token]:
    """A new token, and what is written down of it. The first is shown once and kept nowhere."""
    identity = secrets.token_hex(_ID_BYTES)
    shown = f"rec_{identity}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    token = Token(
        id=identity,
        sha256=digest(shown),
        name=name,
        email=email,
        roles=frozenset(roles),
        expires=expires,
        created=created,
    )
    return shown, token


def digest(text: str) -> str:
    """What is kept in a token's place."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def id_of(text: str) -> str:
    """The id that a text claims; "" if it has not the form of a token."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else ""


def parse(text: str, *, file: str) -> tuple[Token, ...]:
    """Read a tokens file: one JSON object a line; empty lines and lines that begin with `#` are left alone.

    Raises:
        TokensFormatError: Some lines are none of ours; names all of them.
    """
    found: dict[str, Token] = {}
    wrong: list[Diagnostic] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            token = _token(json.loads(line), taken=found)
            found[token.id] = token
        except (ValueError, RecursionError) as error:
            wrong.append(
                Diagnostic(
                    code=TokensFormatError.default_code,
                    message=f"this line is no token: {_words(error)}",
                    hint="write lines by `reconcile token create`, and remove this one",
                    file=file,
                    line=number,
                )
            )
    if wrong:
        raise TokensFormatError(diagnostics=wrong)
    return tuple(found.values())


def _words(error: Exception) -> str:
    """Without the text itself, which may be a token that somebody pasted."""
    if isinstance(error, json.JSONDecodeError | RecursionError):
        return "it is not one JSON object"
    return str(error)


def _token(document: Any, *, taken: Container[str]) -> Token:
    if not isinstance(document, dict):
        raise ValueError("it is not one JSON object")  # noqa: TRY004 -- one kind of error for all that is wrong with a line
    missing = [name for name in _REQUIRED if name not in document]
    if missing or set(document) - _FIELDS:
        raise ValueError(f"it takes {', '.join(_REQUIRED)}, and may have created and expires, and nothing else")
    texts = {name: document[name] for name in ("id", "sha256", "name", "email")}
    rules = {"id": _ID, "sha256": _HASH, "name": _PERSON, "email": _PERSON}
    bad = [name for name, text in texts.items() if not isinstance(text, str) or not rules[name].fullmatch(text)]
    if bad:
        raise ValueError(f"{bad[0]} has not the form that it takes")
    if texts["id"] in taken:
        raise ValueError(f"the id {texts['id']} is taken by a line above")
    return Token(
        id=texts["id"],
        sha256=texts["sha256"],
        name=texts["name"],
        email=texts["email"],
        roles=_roles(document["roles"]),
        expires=_time(document.get("expires")),
        created=_time(document.get("created")),
    )


def _roles(value: Any) -> frozenset[Role]:
    known = [str(role) for role in Role]
    if not isinstance(value, list) or not value or any(item not in known for item in value):
        raise ValueError(f"roles takes a list of {', '.join(known)}")
    return frozenset(Role(item) for item in value)


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else None
    if found is None or found.tzinfo is None:
        raise ValueError("a time is written as 2026-01-31T09:00:00Z")
    return found.astimezone(UTC)
