from __future__ import annotations

from tests.behaviour.contents import contents
from tests.behaviour.topics import topics


def test_every_rule_stands_in_the_contents_once() -> None:
    """Readers find each rule under its topic."""
    lines = contents().splitlines()
    rules = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    assert rules == [str(entry.raw["rule"]) for topic in topics() for entry in topic.entries]
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == [item.title for item in topics()]
