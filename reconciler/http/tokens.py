"""Tokens from files, for whoever sends one in a header. Read at each use, so that replacing the file renews the token."""

from __future__ import annotations

from pathlib import Path

_MOST = 64 * 1024
"""Bytes of a file that may be a token's; a longer one is something else, and is not read to its end."""

_FIRST, _LAST = 0x21, 0x7E
"""Visible ASCII, which is what a header can carry and a token consists of."""


class NoTokenError(ValueError):
    """A file that no token can be read from. Each caller makes an error of its own of it; the content is in no message.

    Attributes:
        why: Why it can't be read, in the system's words; "" if it can, and does not hold one token and nothing else.
        empty: Whether there is nothing in it but space.
    """

    def __init__(self, why: str = "", *, empty: bool = False) -> None:
        super().__init__(why or "it does not hold one token and nothing else")
        self.why = why
        self.empty = empty


def read_token(path: str | Path) -> str:
    """The token in a file, without the space around it.

    Raises:
        NoTokenError: There is none.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MOST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise NoTokenError(getattr(error, "strerror", None) or str(error)) from None
    token = text.strip()
    if not token or len(text) > _MOST or not all(_FIRST <= byte <= _LAST for byte in token):
        raise NoTokenError(empty=not token)
    return token.decode("ascii")
