from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=TOP, check=True, capture_output=True,
    )  # fmt: skip
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_carries_the_templates_the_example_and_the_types(wheel: Path) -> None:
    """An installed `reconcile` compiles and runs its demo without a source checkout."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("envoy-templates", "policies"):
        for file in (TOP / folder).rglob("*.yaml"):
            assert f"reconciler/{file.relative_to(TOP).as_posix()}" in names
    assert "reconciler/py.typed" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_wheel_carries_the_page(wheel: Path) -> None:
    """Every file of it: they are no Python, and easily forgotten."""
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {f"reconciler/web/page/{item.name}" for item in (TOP / "reconciler/web/page").iterdir()}
    assert "reconciler/web/page/index.html" in files
    assert files <= names


def test_an_installed_package_finds_what_it_carries(wheel: Path, tmp_path: Path) -> None:
    """The example that the wheel carries is valid with the templates that the wheel carries."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    probe = (
        "from reconciler.cli import run; from reconciler.settings import shipped; "
        "assert 'site' in str(shipped('policies')), shipped('policies'); "
        "raise SystemExit(run(['validate', str(shipped('policies'))]))"
    )
    (tmp_path / "site").mkdir()
    (tmp_path / "reconciler").rename(tmp_path / "site" / "reconciler")
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path / "site", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "The policies are valid.\n"), done.stderr
