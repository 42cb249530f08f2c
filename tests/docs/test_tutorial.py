from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.generate import TOP
from tests.docs.shown import Reader, same

PAGE = (TOP / "docs" / "tutorial.md").read_text(encoding="utf-8")
FILES = ("policies/shop.yaml", "policies/edge.yaml", "policies/rollout.yaml")
STEPS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("t")


def test_the_tutorial_shows_what_is_seen(folder: Path) -> None:
    """Every file, every command and every line of output, from the first commit to all traffic."""
    files = iter(FILES)
    done: list[str] = []
    with Reader(folder, ports=("8080", "8001", "8002", "8090"), place="/tmp/tutorial") as reader:  # noqa: S108 -- as the page says
        for step in STEPS:
            if not step.startswith(("1. Install", "8. Clean up")):
                done += reader.read(step, files)
    assert next(files, None) is None
    assert done[-1] == "reconcile rollout history shop"


@pytest.mark.parametrize(
    ("printed", "shown", "alike"),
    [
        ("a1b2c3d x in 26ms\n", "0000000 x in 3ms\n", True),
        ("one\ntwo\nthree\n", "one\n...\n", True),
        ("one\ntwo\n", "one\n", False),
        ("one\n", "two\n", False),
        ("a b c\n", "a ...\n", True),
        ("v2 50%\n", "v2 25%\n", False),
    ],
)
def test_what_may_differ(printed: str, shown: str, *, alike: bool) -> None:
    """Ids, times and spans; every other word counts."""
    assert same(printed, shown) is alike


@pytest.mark.long
def test_everything_starts_again_from_git(folder: Path) -> None:
    """The page on disasters, after the tutorial: a daemon, an Envoy, the record and the Git server are lost in the middle of a canary."""
    page = (TOP / "docs" / "howto" / "disaster-recovery.md").read_text(encoding="utf-8")
    files = iter(FILES)
    with Reader(folder, ports=("8080", "8001", "8002", "8090"), place="/tmp/tutorial") as reader:  # noqa: S108 -- as the page says
        for step in STEPS:
            if step[0] in "2345":
                list(reader.read(step, files))
        done = list(reader.read(page, iter(())))
    assert done[-1] == "reconcile rollout list"
