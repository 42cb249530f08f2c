from __future__ import annotations

import pytest

from tests.behaviour.conftest import Stages
from tests.behaviour.topics import Entry, duplicates, topics
from tests.behaviour.trial import try_row

_ENTRIES = [entry for topic in topics() for entry in topic.entries]


@pytest.mark.parametrize("entry", _ENTRIES, ids=lambda entry: entry.id)
def test_the_rule_holds(stages: Stages, entry: Entry) -> None:
    """What the row says happens is what happens."""
    try_row(stages.of(entry), entry)


def test_every_row_has_a_name_of_its_own() -> None:
    """Names are hosts: two rows of one name would route each other's requests."""
    assert duplicates(_ENTRIES) == []
