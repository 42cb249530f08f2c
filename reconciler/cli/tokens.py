"""`reconcile token create, list, revoke`: who may do what over HTTP, in the file that the daemon's `http.tokens` names.

A daemon that runs reads the file again when it was changed; nothing has to be restarted.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.options import Output, OutputOption, duration, identity, require_text_or_json
from reconciler.clock import rfc3339
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.web import Token

File = Annotated[
    Path,
    typer.Option("--tokens", envvar="RECONCILE_HTTP_TOKENS", metavar="FILE", help="The file that holds the tokens."),
]
_SCHEMA = 1


def application() -> typer.Typer:
    """The verbs below `reconcile token`."""
    app = typer.Typer(
        name="token",
        no_args_is_help=False,
        add_completion=False,
        rich_markup_mode=None,
        help="Tokens for the daemon's HTTP API and page: who may do what.",
    )
    app.command("create")(create)
    app.command("list")(listing)
    app.command("revoke")(revoke)
    return app


def create(
    person: Annotated[str, typer.Argument(metavar="'NAME <MAIL>'", help="Who commits by this token are by.")],
    *,
    tokens: File,
    role: Annotated[list[str], typer.Option("--role", help="read, propose, write or operate; may be repeated.")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="After which it ends, as 2160h; never by default.")
    ] = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Make a token and show it, once; the file keeps only its hash."""
    import sys

    from reconciler.cli.output import print_json, put
    from reconciler.clock import SystemClock
    from reconciler.plan import visible
    from reconciler.web import add_token, mint

    require_text_or_json(output, "token")
    who = identity(person)
    now = SystemClock().now().replace(microsecond=0)
    ends = now + timedelta(seconds=duration(expires, "--expires")) if expires else None
    shown, token = mint(name=who.name, email=who.email, roles=_roles(role), created=now, expires=ends)
    add_token(tokens, token)
    if output is Output.JSON:
        print_json({"schema_version": _SCHEMA, "token": shown} | _document(token))
        return 0
    put(shown)
    print(visible(f"{token.id}: {', '.join(sorted(token.roles))} for {person}; it is not shown again"), file=sys.stderr)
    return 0


def listing(*, tokens: File, output: OutputOption = Output.TEXT) -> int:
    """Show who has a token and what it may do; the tokens themselves are nowhere."""
    from reconciler.cli.output import print_json, put
    from reconciler.clock import SystemClock
    from reconciler.plan import visible
    from reconciler.web import read_tokens

    require_text_or_json(output, "token")
    found = sorted(read_tokens(tokens), key=lambda token: (token.name, token.id))
    if output is Output.JSON:
        print_json({"schema_version": _SCHEMA, "tokens": [_document(token) for token in found]})
        return 0
    now = SystemClock().now()
    for token in found:
        ends = f"until {token.expires:%Y-%m-%d %H:%M}Z" if token.expires else "without an end"
        state = "ended" if token.ended(now) else ends
        put(visible(f"{token.id}  {', '.join(sorted(token.roles))}  {token.name} <{token.email}>  {state}"))
    return 0


def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="As `reconcile token list` shows it.")],
    *,
    tokens: File,
    output: OutputOption = Output.TEXT,
) -> int:
    """Take a token out of the file; its sessions end with it, at once."""
    from reconciler.cli.output import print_json, put
    from reconciler.plan import visible
    from reconciler.web import revoke_token

    require_text_or_json(output, "token")
    gone = revoke_token(tokens, token)
    if output is Output.JSON:
        print_json({"schema_version": _SCHEMA} | _document(gone))
    else:
        put(visible(f"{gone.id} of {gone.name} <{gone.email}> is revoked"))
    return 0


def _roles(texts: list[str]) -> list[Any]:
    from reconciler.web import Role

    known = {str(role): role for role in Role}
    wrong = [text for text in texts if text not in known]
    if wrong:
        raise UsageError(f"{wrong[0]!r} is no role", hint=f"there are {', '.join(known)}")
    return [known[text] for text in texts]


def _document(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "email": token.email,
        "roles": sorted(str(role) for role in token.roles),
        "created": _time(token.created),
        "expires": _time(token.expires),
    }


def _time(when: datetime | None) -> str | None:
    return rfc3339(when) if when is not None else None
