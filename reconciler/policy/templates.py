"""The Envoy fragments that the compiler starts from: the house defaults, overridden by a repository's own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import Diagnostic
from reconciler.model.tree import Tree, TreeFile
from reconciler.policy.files import TEMPLATES
from reconciler.policy.findings import close


def house_templates(folder: Path) -> dict[str, str]:
    """The defaults by file name (`cluster.yaml`)."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}


def override(
    defaults: Mapping[str, str], tree: Tree, chosen: list[TreeFile]
) -> tuple[dict[str, str], list[Diagnostic]]:
    """The defaults with the tree's own files in their places.

    A file that no default has the name of would do nothing, so it is an error.
    """
    out = dict(defaults)
    problems = []
    for entry in chosen:
        name = entry.path.removeprefix(f"{TEMPLATES}/")
        if name not in defaults:
            hint = close(name, defaults) or f"the templates are {', '.join(sorted(defaults))}"
            message = f"there is no template {name} to override"
            problems.append(Diagnostic(code="template-name", message=message, hint=hint, file=entry.path))
            continue
        try:
            out[name] = tree.read(entry).decode("utf-8")
        except UnicodeDecodeError as error:
            problems.append(
                Diagnostic(code="yaml-encoding", message=str(error), hint="save the file as UTF-8", file=entry.path)
            )
    return out, problems
