"""The fenced examples of a page."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """The examples in one language, in order."""
    return [text for name, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]
