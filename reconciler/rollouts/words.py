"""Words of others, made safe for a line of a file, a commit message or a terminal."""

from __future__ import annotations


def visible(text: str, limit: int) -> str:
    r"""One line of at most this many characters: what isn't printable is escaped (`\n`, `\x1b`), the middle of more is left out.

    What it gives stays the same if it is asked again.
    """
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text).strip()
    if len(shown) <= limit:
        return shown
    head = (limit - 3) * 2 // 3
    return f"{shown[:head]}...{shown[len(shown) - (limit - 3 - head) :]}"
