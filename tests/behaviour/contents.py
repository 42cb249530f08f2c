"""The table's contents for readers: every topic with its rules, as Markdown. `python -m tests.behaviour.contents` prints it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.behaviour.topics import Topic, topics


def contents(found: Sequence[Topic] | None = None) -> str:
    """All topics, each with what it is about and its rules in order; only the table's own words."""
    listed = topics() if found is None else found
    return "\n".join(_topic(topic) for topic in listed)


def _topic(topic: Topic) -> str:
    rules = "".join(f"- {entry.raw['rule']}\n" for entry in topic.entries)
    return f"## {topic.title}\n\n{topic.about}\nThe rows: `tests/behaviour/rows/{topic.name}.yaml`.\n\n{rules}"


if __name__ == "__main__":
    sys.stdout.write(contents())
