"""Large files, whose documents are remembered one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.policy.documents import LARGE, read_file
from tests.policy.test_incremental import DOCUMENTS

FILE = "policies/large.yaml"
PADDING = "# padding\n" * (LARGE // 10 + 1)
ODD = [
    "", "# nothing\n", "...\n", "a: 1\n...\nb: 2\n", "%YAML 1.2\n", "a: 'b\n", "a: [b,\n", "a: |\n  text\n", "key: {url: http://x}\n",
    "a: \x07\n", "- \u2028\n", "a: b\r", "\ufeff", "a: &x 1\n", "b: *x\n",
]  # fmt: skip
PARTS = st.lists(st.sampled_from([*DOCUMENTS, *ODD]), max_size=5)
BREAKS = st.sampled_from(
    ["---\n", "--- # next\n", "---\r\n", "\n---\n", "...\n---\n", "", "\r---\r", "--- a\n", "---a\n"]
)


@given(PARTS, PARTS, BREAKS, st.sampled_from(["", "--- # begin\n", "# begin\n---\n"]))
@settings(max_examples=300, deadline=None)
def test_documents_from_before_are_what_would_be_read(first: list[str], then: list[str], cut: str, head: str) -> None:
    """However a large file is cut, and whatever it held before, it says what it says when it is read as a whole."""
    before = read_file((head + cut.join(first)).encode(), file=FILE, large=0)
    text = (head + cut.join(then)).encode()
    after = read_file(text, file=FILE, before=before, large=0)
    whole = read_file(text, file=FILE, large=len(text) + 1)
    assert whole.pieces == {}
    assert (after.policies, after.failed, after.diagnostics) == (whole.policies, whole.failed, whole.diagnostics)


@pytest.mark.parametrize("comment", ["", "# routes\n"])
def test_only_the_changed_document_of_a_large_file_is_read(comment: str) -> None:
    """Hundreds of services in one file are no reason to read them all for one weight."""
    parts = [DOCUMENTS[0], PADDING + DOCUMENTS[4], DOCUMENTS[10]]
    before = read_file((comment + "---\n".join(parts)).encode(), file=FILE)
    parts[2] = DOCUMENTS[11]
    after = read_file((comment + "---\n".join(parts)).encode(), file=FILE, before=before)
    assert [one is other for one, other in zip(before.policies, after.policies, strict=True)] == [True, True, False]
