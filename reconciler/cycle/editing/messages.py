"""What a commit of the API says. Pure. Words of callers come into its body, and can't pass for trailers of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.cycle.editing.errors import EditingQueryError
from reconciler.cycle.editing.wishes import Action, Wish
from reconciler.cycle.history import ALLOW_TRAILER

REQUESTED_BY = "Requested-By-Token"
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = 4000
_MOST_CODES = 20
_LONGEST_CODE = 80
_OURS = re.compile(
    r"^\s*(reconcile|requested|rollout|policy|plan|outcome|proxies)[a-z-]*\s*:", re.IGNORECASE | re.MULTILINE
)


def message_of(wish: Wish, action: Action) -> str:
    """Subject, words of the caller, trailers.

    Raises:
        EditingQueryError: The caller's words or codes are of another form.
    """
    subject = f"api({wish.key.short()}): {action} {wish.kind} {wish.key}"
    words = _words(wish.message)
    return "\n\n".join([subject, *([words] if words else []), "\n".join(trailers_of(wish))]) + "\n"


def trailers_of(wish: Wish) -> Sequence[str]:
    """Who asked, and what they overrode.

    Raises:
        EditingQueryError: A code is none.
    """
    wrong = [code for code in wish.allow if not _CODE.fullmatch(code) or len(code) > _LONGEST_CODE]
    if wrong or len(wish.allow) > _MOST_CODES:
        raise EditingQueryError(
            "`allow` takes codes of guards", hint="as `guard-weight-increase`; the refusal names it"
        )
    return [*(f"{ALLOW_TRAILER}: {code}" for code in sorted(wish.allow)), f"{REQUESTED_BY}: {wish.by.token}"]


def _words(text: str) -> str:
    plain = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(plain) > _LONGEST or any(not (char.isprintable() or char == "\n") for char in plain):
        raise EditingQueryError(f"`message` takes at most {_LONGEST} characters of text", hint="leave controls out")
    if _OURS.search(plain):
        raise EditingQueryError("`message` has a line that reads like a trailer of ours", hint="write it as a sentence")
    return plain
