"""Python's search for cyclic garbage, kept away from policies."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 500
"""Files whose documents are worth to be set apart; they have half a million objects."""


@contextmanager
def uncollected(files: int) -> Iterator[None]:
    """Don't look for cyclic garbage inside; and never look at what is there in the end if many files were read.

    Reading makes millions of objects and no cycles, and the search goes through all of them again and again: half of the time
    that a mesh of 10,000 services takes, and a pause of half a second now and then for as long as it is kept. What is not used any
    more is freed all the same, when its last reference goes.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        if files >= MANY:
            gc.freeze()
    finally:
        gc.enable()
