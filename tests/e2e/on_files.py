"""The shipped example with every proxy on files: what a stage stands on whose passes need no daemon."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from reconciler.settings import shipped

_PUSH = re.compile(r"^(  workload: (?P<name>.+)\n  admin: .*\n  push:\n)    ads: \{\}.*$", re.MULTILINE)


def example_on_files(folder: Path) -> Path:
    """A copy of the example in a new folder, for `Stage(policies=...)`."""
    where = folder / "example"
    shutil.copytree(shipped("policies"), where)
    changed = 0
    for file in where.rglob("*.yaml"):
        text, count = _PUSH.subn(r"\1    files: {directory: /var/lib/envoy/\g<name>}", file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
        changed += count
    assert changed == 6
    return where
