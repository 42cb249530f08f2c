from __future__ import annotations

import pytest

from reconciler.errors import Severity
from reconciler.policy import CODES
from reconciler.policy.documents import read_file
from tests.docs.verdicts import STRICTER, WARNED, Verdict


@pytest.mark.parametrize("verdict", STRICTER, ids=lambda verdict: verdict.what)
def test_what_is_said_to_be_refused_is_refused(verdict: Verdict) -> None:
    """The table of differences from Istio is true: each example is refused, with the code that it says and no other."""
    found = read_file(verdict.example.encode(), file="x.yaml").diagnostics
    assert {item.code for item in found if item.severity is Severity.ERROR} == {verdict.code}


def test_what_is_said_to_be_warned_of_is_a_warning() -> None:
    """Codes of the table exist, and are warnings."""
    assert [code for code, _ in WARNED if not CODES[code].endswith("(warning)")] == []
