"""What a change of files does, as `git apply` takes it. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping


def diff_of(before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> str:
    """A unified diff of the files in `after`; None is a file that is not there."""
    return "".join(_of_one(path, before.get(path), after[path]) for path in sorted(after))


def _of_one(path: str, old: bytes | None, new: bytes | None) -> str:
    head = [f"diff --git a/{path} b/{path}\n"] if old is None or new is None else []
    head += ["new file mode 100644\n"] if old is None else ["deleted file mode 100644\n"] if new is None else []
    lines = difflib.unified_diff(
        _lines(old),
        _lines(new),
        f"a/{path}" if old is not None else "/dev/null",
        f"b/{path}" if new is not None else "/dev/null",
    )
    return "".join(
        [*head, *(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)]
    )


def _lines(text: bytes | None) -> list[str]:
    """As Git counts lines: what else Unicode and YAML call an end of one (U+2028, a form feed) stays inside."""
    return re.findall(r"[^\n]*\n|[^\n]+", (text or b"").decode("utf-8", "backslashreplace"))
