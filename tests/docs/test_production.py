"""docs/howto/production.md: its commands, its settings file, and that each line of the list says where to read on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.cli.configuration import assembled, in_force
from reconciler.cli.configuration.file import read_file
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.docs.shown import Reader

PATH = TOP / "docs" / "howto" / "production.md"
PAGE = PATH.read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "repository"
    made.mkdir()
    return made


@pytest.mark.long
def test_the_commands_show_what_is_seen(folder: Path) -> None:
    """In a repository with the services of the quick start of rollouts."""
    service, gateway, *_ = blocks(TOP / "docs" / "rollouts.md", "yaml")
    with Reader(folder, ports=(), place="/tmp/production") as reader:  # noqa: S108 -- no such place is written
        (folder / "policies" / "shop.yaml").write_text(f"{service}---\n{gateway}")
        reader.do("git add policies && git commit -q -m 'A shop'")
        done = list(reader.read(PAGE, iter(["../settings.yaml"])))
    assert len([line for line in PAGE.splitlines() if line.startswith("$ ")]) == len(done)


def test_the_settings_file_is_one(tmp_path: Path) -> None:
    """What the page shows can be copied."""
    (text,) = blocks(PATH, "yaml")
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assembled(in_force(flags={}, environ={}, file=read_file(path)))


def test_every_item_leads_to_a_page() -> None:
    """A line of the list that does not say how is a wish."""
    items = re.findall(r"^- \[ \] (.*?)(?=^- |^$)", PAGE, re.DOTALL | re.MULTILINE)
    assert len(items) > 20
    assert [item for item in items if "](" not in item] == []
