"""Conditional requests: ETags as they are sent, and what `If-Match` and `If-None-Match` ask for (RFC 9110, section 13). Pure."""

from __future__ import annotations

import re

from fastapi import Request

from reconciler.web.errors import NoPreconditionError, RequestError

ANY = "*"
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_MOST = 50


def quoted(tag: str) -> str:
    """As it stands in a header."""
    return f'"{tag}"'


def wanted_tags(request: Request) -> frozenset[str] | None:
    """What the thing that is changed may be: tags, `*` for anything; None if it must not be there.

    Raises:
        NoPreconditionError: The request says neither.
        RequestError: It says both, or something else.
    """
    match, none = (_header(request, name) for name in ("if-match", "if-none-match"))
    if match is not None and none is not None:
        raise RequestError("If-Match and If-None-Match exclude each other", hint="send one of them")
    if none is not None:
        if none.strip() != ANY:
            raise RequestError("to write, If-None-Match takes only `*`", hint="send `If-None-Match: *` to create")
        return None
    if match is None:
        raise NoPreconditionError(
            "this could overwrite what somebody else wrote",
            hint="send the ETag that you have read as `If-Match`, or `If-None-Match: *` to create",
        )
    return tags(match)


def unchanged(request: Request, tag: str) -> bool:
    """Whether who reads has it already. What is no tag counts as not said: who reads gets an answer in any case.

    A weak tag is as good as a strong one here (RFC 9110, section 13.1.2): a proxy that compresses answers makes it of ours.
    """
    none = _header(request, "if-none-match")
    if none is None:
        return False
    found = (_TAG.fullmatch(item.strip()) for item in none.split(",")[:_MOST])
    return none.strip() == ANY or tag in {item[2] for item in found if item is not None}


def tags(text: str) -> frozenset[str]:
    """Strong tags of a list, and `*`. A weak one matches nothing: it does not vouch for bytes.

    Raises:
        RequestError: It is no such list.
    """
    if text.strip() == ANY:
        return frozenset({ANY})
    found = set()
    for item in text.split(",")[: _MOST + 1]:
        tag = _TAG.fullmatch(item.strip())
        if tag is None:
            raise RequestError("an ETag stands in double quotes", hint='as `If-Match: "0123abcd"`')
        if not tag[1]:
            found.add(tag[2])
    return frozenset(found)


def _header(request: Request, name: str) -> str | None:
    found = request.headers.getlist(name)
    return ", ".join(found) if found else None
