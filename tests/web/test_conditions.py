from __future__ import annotations

import pytest
from fastapi import Request

from reconciler.web.conditions import unchanged


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ([], False),
        (['"a"'], True),
        (['W/"a"'], True),
        (['"b", W/"a"'], True),
        (['"b"', '"a"'], True),
        (["*"], True),
        (['"b"'], False),
        (["a"], False),
        (['"a'], False),
        ([""], False),
        ([", ".join(f'"{number}"' for number in range(1000))], False),
    ],
)
def test_who_has_it_already_is_known_by_strong_and_weak_tags(sent: list[str], *, known: bool) -> None:
    """A proxy that compresses answers makes weak tags of ours; and what is no tag at all keeps nobody from reading."""
    headers = [(b"if-none-match", text.encode()) for text in sent]
    assert unchanged(Request({"type": "http", "headers": headers}), "a") is known
