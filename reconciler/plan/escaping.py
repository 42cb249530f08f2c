"""Words of others in Markdown: text that means only itself, code that can't be left, and as much of a list as there is room for.

Whatever comes from policies, proxies, branches or people goes through here before it stands in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reconciler.plan.words import shorten, visible

_CELL = 120
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What starts markup anywhere in a line, and `://` and `www.`, which make links of what stands around them.
_SPECIAL = re.compile(r"[&<>`*_\[\]\\~|$]|:(?=//)|(?<=[wW]{3})\.")
# A mention or a reference to an issue needs its mark and a word together: a zero-width space keeps them apart. Forges look
# for them in what has been rendered, so an entity would not, but they leave code alone.
_MARKS = re.compile(r"[@#]")
_QUOTED = re.compile(r"`([^`]+)`")


def escape_markdown(text: str) -> str:
    """Text that means only itself in one line of Markdown or one cell of a table.

    Except for what stands between backticks, as in our own messages: that becomes code. Control characters and line breaks
    are shown escaped; mentions and references to issues are taken apart.
    """
    parts = _QUOTED.split(visible(text))
    return "".join(code(part) if index % 2 else _escape(part, marks=True) for index, part in enumerate(parts))


def fenced(lines: Sequence[str]) -> str:
    """Lines as a block of code that nothing in them can end or put a tag into."""
    # A slash first in a line is a command to GitLab, which does not know all blocks of code when it looks for them. JSON's own
    # escape keeps tags out of the block: some renderers look for them even there.
    shown = (f" {line}" if line.startswith("/") else line for line in map(visible, lines))
    block = "\n".join(shown).replace("<", "\\u003c")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block)), default=0))
    return f"{fence}text\n{block}\n{fence}"


def fitting(blocks: Iterable[str], room: int) -> list[str]:
    """As many from the beginning as fit; each is followed by two line breaks at most."""
    kept: list[str] = []
    for block in blocks:
        room -= len(block) + 2
        if room < 0:
            break
        kept.append(block)
    return kept


def code(text: str) -> str:
    """Text in code type. Not with backticks: they neither protect bars in tables nor hold themselves."""
    return f"<code>{_escape(shorten(visible(text), _CELL), marks=False)}</code>"


def _escape(text: str, *, marks: bool) -> str:
    # In two passes over different characters the second would escape the entities of the first.
    pattern = re.compile(f"{_SPECIAL.pattern}|{_MARKS.pattern}") if marks else _SPECIAL
    return pattern.sub(lambda found: _entity(found[0]), text)


def _entity(char: str) -> str:
    if _MARKS.match(char):
        return f"{char}&#8203;"
    return _ENTITIES.get(char, f"&#{ord(char)};")
