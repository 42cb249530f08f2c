"""Which files are looked at: all, or only those that somebody has just touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.discovery.platforms.prometheus.files import Shelf
from reconciler.errors import InputError


def _text(_path: str, text: bytes, _before: str | None) -> str:
    if text == b"broken":
        raise InputError("it is broken")
    return text.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(name)
    return tmp_path


def _shelf(folder: Path) -> Shelf[str]:
    shelf = Shelf((f"{folder}/*.json",), _text, 100)
    shelf.look(thorough=True)
    return shelf


def _touch(path: Path, text: str) -> frozenset[str]:
    """Replace a file; what the system says of it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
    return frozenset({str(path), str(new)})


def test_a_glance_sees_a_known_file_that_was_replaced_and_nothing_else(folder: Path) -> None:
    """So one change costs one file, among however many."""
    shelf = _shelf(folder)
    touched = _touch(folder / "a.json", "other")
    _touch(folder / "b.json", "unseen")
    assert shelf.glance(touched) is True
    assert shelf.says == ["other", "b"]
    assert shelf.glance(touched) is False
    assert shelf.glance(_touch(folder / "beside", "x")) is False
    assert shelf.look() is False  # not touched: it has to stay as it is for a while
    assert shelf.look() is True
    assert shelf.says == ["other", "unseen"]


def test_a_glance_is_not_enough_where_files_come_or_go(folder: Path) -> None:
    """What there is at all, only the directory says."""
    shelf = _shelf(folder)
    assert shelf.glance(_touch(folder / "c.json", "c")) is None
    (folder / "a.json").unlink()
    assert shelf.glance({str(folder / "a.json")}) is None


def test_a_glance_is_not_enough_without_a_word_on_what_was_touched(folder: Path) -> None:
    """Nor when that is something else than a file of the directory, such as the directory itself."""
    shelf = _shelf(folder)
    assert shelf.glance(()) is None
    assert shelf.glance({str(folder)}) is None


def test_a_glance_is_not_enough_for_a_file_in_doubt(folder: Path) -> None:
    """It has to be looked at again whoever is touched, until it is believed."""
    shelf = _shelf(folder)
    assert shelf.glance(_touch(folder / "a.json", "broken")) is False
    assert shelf.says == ["a", "b"]
    assert shelf.glance(_touch(folder / "b.json", "other")) is None


def test_a_glance_is_not_enough_where_there_are_links(folder: Path) -> None:
    """What they lead to changes without a word on them."""
    (folder / "c.json").symlink_to(folder / "a.json")
    shelf = _shelf(folder)
    touched = _touch(folder / "b.json", "other")
    assert shelf.glance(touched) is None
    (folder / "c.json").unlink()
    shelf.look(touched=touched)
    shelf.look()
    assert shelf.glance(_touch(folder / "b.json", "another")) is True
    (folder / "b.json").unlink()
    (folder / "b.json").symlink_to(folder / "a.json")
    assert shelf.glance({str(folder / "b.json")}) is None
