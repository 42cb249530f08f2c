"""The folder that a user names, and the places that messages name in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.folder import policy_folder
from reconciler.policy import load

WRONG = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: nowhere}
"""


@pytest.mark.parametrize("root", ["", "policies"], ids=["bare folder", "repository"])
def test_what_documents_say_about_others_has_a_line_at_any_depth(tmp_path: Path, root: str) -> None:
    """Teams keep their policies in folders of their own, and a message without a line sends people searching."""
    (tmp_path / root / "team/canary").mkdir(parents=True)
    file = tmp_path / root / "team/canary/a.yaml"
    file.write_text(WRONG, encoding="utf-8")
    folder = policy_folder(tmp_path)
    (item,) = load(folder.tree).diagnostics
    assert (item.code, item.line, folder.shown(item.file)) == ("ref-host", 4, str(file))
