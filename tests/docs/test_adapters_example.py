from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.discovery import Surroundings
from reconciler.discovery.contract import Adapter
from reconciler.discovery.kinds import SettingsError, adapter
from reconciler.model.discovery import Registry
from reconciler.policy import load
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.e2e.rig import clean_environment
from tests.policy.memory import MemoryTree

PAGE = TOP / "docs" / "adapters.md"
ADAPTER, TEST, MORE = blocks(PAGE, "python")
(PROJECT,) = blocks(PAGE, "toml")
(MESH,) = blocks(PAGE, "yaml")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's package, as an installer leaves it behind."""
    folder = tmp_path_factory.mktemp("installed")
    group, point = re.findall(r'^\[project\.entry-points\."(.+)"\]\n(.+)$', PROJECT, re.MULTILINE)[0]
    information = folder / "inventory_adapter-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: inventory-adapter\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{group}]\n{point.replace(chr(34), '')}\n")
    (folder / "inventory_adapter.py").write_text(ADAPTER)
    (folder / "test_inventory.py").write_text(f"{TEST}\n\n{MORE}")
    return folder


def _made(**settings: str) -> Adapter:
    loaded = load(MemoryTree({"policies/mesh.yaml": MESH}))
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None
    (registry,) = loaded.mesh.settings.discovery
    assert registry.plugin is not None
    if settings:
        registry = Registry.model_validate(
            {"name": registry.name, "plugin": {"adapter": registry.plugin.adapter, "settings": settings}}
        )
    return adapter(registry, Surroundings(registry=registry.name, domain="cluster.local", clock=SystemClock()))


def test_the_packages_entry_point_brings_the_adapter(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of the mesh that the page shows gets the adapter that the page shows; wrong settings are told."""
    monkeypatch.syspath_prepend(str(installed))
    assert type(_made()).__name__ == "Inventory"
    with pytest.raises(SettingsError, match="`file`, an absolute path"):
        _made(path="inventory.db")


def test_the_adapter_conforms(installed: Path) -> None:
    """The page's own test of it, run as the page says, passes; no rule is left out but those that it names."""
    environ = clean_environment() | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_inventory.py"]
    done = subprocess.run(command, cwd=installed, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 10


def test_it_is_short() -> None:
    """Forty lines of code and a bit: what an afternoon is enough for."""
    code = [line for line in ADAPTER.splitlines() if line.strip() and not line.startswith(("import", "from", '"""'))]
    assert len(code) < 45
