"""Write the golden files anew: `python -m tests.compile.golden`."""

from __future__ import annotations

from tests.compile.golden import HERE, current, written

if __name__ == "__main__":
    new = current()
    for name in written().keys() - new.keys():
        (HERE / name).unlink()
    for name, text in new.items():
        (HERE / name).write_text(text)
