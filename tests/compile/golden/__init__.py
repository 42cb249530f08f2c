"""Golden files: what a small mesh compiles to, to be read in reviews.

After a change that is meant to change them, write them anew with `python -m tests.compile.golden` from the repository's
root, and read the diff.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.compile import Compiled, Prototypes, bootstrap
from reconciler.model.protos import decode, to_dict
from reconciler.model.resource import Resource, ResourceType
from reconciler.yamldoc import dump
from tests.compile.meshes import compiled, house_templates, mesh_of

HERE = Path(__file__).parent


def source() -> str:
    """The mesh that the golden files are compiled from."""
    return (HERE / "mesh.yaml").read_text()


def result() -> Compiled:
    """What it compiles to now."""
    return compiled(source())


def current() -> dict[str, str]:
    """What the golden files should hold now, by file name."""
    out = {f"{key.name}.yaml": _view(view.resources.values()) for key, view in result().views.items()}
    prototypes = Prototypes.parse(house_templates())
    for proxy in mesh_of(source()).proxies:
        if proxy.spec.push.files is not None:
            out[f"bootstrap-{proxy.key.name}.yaml"] = dump(to_dict(bootstrap(proxy, prototypes)))
    return out


def written() -> dict[str, str]:
    """What the golden files hold."""
    return {path.name: path.read_text() for path in HERE.glob("*.yaml") if path.name != "mesh.yaml"}


def _view(resources: Any) -> str:
    shown: dict[str, dict[str, Any]] = {}
    for item in resources:
        shown.setdefault(str(item.id.type), {})[item.id.name] = _body(item)
    return dump(shown)


def _body(item: Resource) -> Any:
    return item.body.decode() if item.id.type is ResourceType.RUNTIME else to_dict(decode(item))
